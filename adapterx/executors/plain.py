"""From the types of a recipe to the plain values of methods and engine."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields

from adapterx.engine import settings as engine
from adapterx.methods import config
from adapterx.methods.libraries import Adapters, Peft
from adapterx.methods.merging import Merging
from adapterx.methods.method import Slot
from adapterx.methods.spec import Full, Head, Lora, Method, adapted_layers
from adapterx.recipe import Fuse, Merge, TrainSettings


def method(chosen: Method, depth: int) -> config.Method:
    """The recipe's method as the engine's plain values, for an encoder `depth` layers deep."""
    if isinstance(chosen, Full):
        return config.Full(chosen.gradient_checkpointing, chosen.optimizer == "adamw_8bit")
    if isinstance(chosen, Head):
        return config.HeadOnly(adapted_layers(chosen.layers, depth))
    if isinstance(chosen, Peft):
        return config.Library("peft", json.dumps(chosen.peft.model_dump(mode="json"), sort_keys=True))
    if isinstance(chosen, Adapters):
        return config.Library("adapters", chosen.adapters)
    assert chosen.budget is None, "a plan has turned budgets into sizes"
    values = chosen.model_dump(exclude={"kind", "budget", "use_rslora"})
    values["layers"] = None if chosen.layers == "all" else adapted_layers(chosen.layers, depth)
    if isinstance(chosen, Lora):
        # alpha / sqrt(rank) = (alpha sqrt(rank)) / rank
        values["alpha"] *= math.sqrt(chosen.rank) if chosen.use_rslora else 1.0
        return config.Lora(**values)
    return config.Bottleneck(**values)


def combined(how: Fuse | Merge | None, members: Sequence[Slot]) -> config.Fusion | None:
    """The method of a fusion over these members; None where nothing is fused."""
    if not isinstance(how, Fuse):
        return None
    methods = tuple(slot.method for slot in members if isinstance(slot.method, config.Bottleneck))
    return config.Fusion(methods, how.value_rank)


def merging(how: Merge, method: config.Method) -> Merging:
    """The arithmetic of a merger; the plain mean where none is named. Weights yet to be tuned are left open."""
    named = how.method or ("linear" if isinstance(method, config.Lora) else "average")
    return Merging(named, how.weights if isinstance(how.weights, tuple) else None, how.density)


def settings(train: TrainSettings) -> engine.TrainSettings:
    """The settings of one candidate as the engine's; the length and number of examples are a matter of the data."""
    values = {field.name: getattr(train, field.name) for field in fields(engine.TrainSettings)}
    if train.early_stopping is not None:
        values["early_stopping"] = engine.EarlyStopping(train.early_stopping.every, train.early_stopping.patience)
    return engine.TrainSettings(**values)
