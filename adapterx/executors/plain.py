"""From the types of a recipe to the plain values of methods and engine."""

from __future__ import annotations

from dataclasses import fields

from adapterx.engine import settings as engine
from adapterx.methods import config
from adapterx.recipe import Full, Lora, Method, TrainSettings, adapted_layers


def method(chosen: Method, depth: int) -> config.Method:
    """The recipe's method as the engine's plain values, for an encoder `depth` layers deep."""
    if isinstance(chosen, Full):
        return config.Full(chosen.gradient_checkpointing)
    values = chosen.model_dump(exclude={"kind"})
    values["layers"] = None if chosen.layers == "all" else adapted_layers(chosen.layers, depth)
    return config.Lora(**values) if isinstance(chosen, Lora) else config.Bottleneck(**values)


def settings(train: TrainSettings) -> engine.TrainSettings:
    """The settings of one candidate as the engine's; the length and number of examples are a matter of the data."""
    values = {field.name: getattr(train, field.name) for field in fields(engine.TrainSettings)}
    if train.early_stopping is not None:
        values["early_stopping"] = engine.EarlyStopping(train.early_stopping.every, train.early_stopping.patience)
    return engine.TrainSettings(**values)
