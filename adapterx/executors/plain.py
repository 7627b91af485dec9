"""From the settings of a recipe to those of the engine."""

from __future__ import annotations

from dataclasses import fields

from adapterx.engine import settings as engine
from adapterx.recipe import TrainSettings


def settings(train: TrainSettings) -> engine.TrainSettings:
    """The settings of one candidate as the engine's; the length and number of examples are a matter of the data."""
    values = {field.name: getattr(train, field.name) for field in fields(engine.TrainSettings)}
    if train.early_stopping is not None:
        values["early_stopping"] = engine.EarlyStopping(train.early_stopping.every, train.early_stopping.patience)
    return engine.TrainSettings(**values)
