"""From the types of a recipe to the plain values of methods and engine."""

from __future__ import annotations

import math
from dataclasses import fields

from adapterx.engine import settings as engine
from adapterx.methods import config
from adapterx.recipe import Full, Head, Lora, Method, TrainSettings, adapted_layers


def method(chosen: Method, depth: int) -> config.Method:
    """The recipe's method as the engine's plain values, for an encoder `depth` layers deep."""
    if isinstance(chosen, Full):
        return config.Full(chosen.gradient_checkpointing)
    if isinstance(chosen, Head):
        return config.HeadOnly(adapted_layers(chosen.layers, depth))
    assert chosen.budget is None, "a plan has turned budgets into sizes"
    values = chosen.model_dump(exclude={"kind", "budget", "use_rslora"})
    values["layers"] = None if chosen.layers == "all" else adapted_layers(chosen.layers, depth)
    if isinstance(chosen, Lora):
        # alpha / sqrt(rank) = (alpha sqrt(rank)) / rank
        values["alpha"] *= math.sqrt(chosen.rank) if chosen.use_rslora else 1.0
        return config.Lora(**values)
    return config.Bottleneck(**values)


def settings(train: TrainSettings) -> engine.TrainSettings:
    """The settings of one candidate as the engine's; the length and number of examples are a matter of the data."""
    values = {field.name: getattr(train, field.name) for field in fields(engine.TrainSettings)}
    if train.early_stopping is not None:
        values["early_stopping"] = engine.EarlyStopping(train.early_stopping.every, train.early_stopping.patience)
    return engine.TrainSettings(**values)
