"""The training settings of a recipe, and what they come to for one phase and method."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from adapterx.config.fields import Model, NonNegativeFloat, PositiveFloat, PositiveInt
from adapterx.limits import Limit, Sample
from adapterx.recipe.prune import Prune
from adapterx.train_settings import EarlyStopping, TrainSettings

Phase = Literal["intermediate", "target"]

LearningRate = Annotated[
    Annotated[PositiveFloat, Tag("a number")] | Annotated[dict[str, PositiveFloat], Tag("by method")],
    Discriminator(lambda value: "by method" if isinstance(value, dict) else "a number"),
]

DEFAULT_LEARNING_RATE = 1e-4
"""Where a recipe gives neither `learning_rate` nor `prune`."""
DEFAULT_EPOCHS = 3.0
"""Passes over the training data where a recipe gives neither `epochs` nor `steps`."""


class TrainFields(Model):
    """The settings that both phases share."""

    learning_rate: LearningRate | None = None
    """Peak learning rate; or one per method, by its name in the recipe or its kind (a name wins over a kind).

    1e-4 where neither it nor `prune` is given. Excludes `prune`.
    """
    batch_size: Annotated[int, Field(gt=0, le=100_000)] = 32
    """Examples per step."""
    epochs: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    """Passes over the training data (3 where neither epochs nor steps is given). Excludes `steps`."""
    steps: Annotated[int, Field(gt=0, le=10**9)] | None = None
    """Optimiser steps. Excludes `epochs`."""
    warmup_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Share of the steps in which the learning rate rises linearly; it falls linearly to 0 in the rest."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled weight decay (AdamW)."""
    max_grad_norm: Annotated[float, Field(gt=0.0, le=1e30)] = 1.0
    """Gradients are scaled down to this norm, per cell."""
    max_length: Annotated[int, Field(ge=8, le=1_000_000)] = 128
    """Tokens per sequence, special tokens included; longer ones are truncated."""
    limit: PositiveInt | None = None
    """Training examples per task and language; all of them when null."""
    sample: Sample = "random"
    """Which examples a limit keeps: a random sample, the same in every language that shares the ids and for every seed;
    or the first of the data."""
    early_stopping: EarlyStopping | None = None
    """Choose the step by the dev set; null trains to the end."""
    prune: Prune | None = None
    """Try several learning rates and end the hopeless ones early; null tries one. Excludes `learning_rate`."""

    @model_validator(mode="after")
    def _one_of_each_pair(self) -> Self:
        for one, other in EXCLUSIVE:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"gives both {one} and {other}: keep one of them")
        return self


EXCLUSIVE = (("epochs", "steps"), ("learning_rate", "prune"))
"""Settings that say the same thing in two ways; a phase that gives one of them sets the general other aside."""


class PhaseTrain(TrainFields):
    """Only the settings written here apply; written out again, it holds only those."""

    @model_serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


class Train(TrainFields):
    """How adapters and heads are trained; `intermediate` and `target` override single settings of one phase."""

    intermediate: PhaseTrain | None = None
    """Settings of the intermediate phase that differ."""
    target: PhaseTrain | None = None
    """Settings of the target phase that differ."""

    def phase(self, phase: Phase, method_name: str, kind: str, own: PhaseTrain | None = None) -> TrainSettings:
        """The settings of one phase for one method, everything concrete.

        Args:
            own: those of one intermediate or target, which come before the phase's.

        Raises KeyError where learning rates are given per method and there are none for this one
        (`recipe.read` has refused such a recipe with its position).
        """
        chosen = {name: getattr(self, name) for name in TrainFields.model_fields}
        for override in (self.intermediate if phase == "intermediate" else self.target, own):
            given = override.model_fields_set if override is not None else frozenset[str]()
            for pair in EXCLUSIVE:
                if any(getattr(override, name) is not None for name in given & set(pair)):
                    chosen |= dict.fromkeys(pair)
            chosen |= {name: getattr(override, name) for name in given}
        if chosen["epochs"] is None and chosen["steps"] is None:
            chosen["epochs"] = DEFAULT_EPOCHS
        rates, prune = chosen["learning_rate"], chosen["prune"]
        if prune is not None:
            one = prune.rate_of(method_name, kind)
            chosen |= {"learning_rate": one, "prune": prune.of(method_name, kind) if one is None else None}
        elif rates is None:
            chosen["learning_rate"] = DEFAULT_LEARNING_RATE
        elif isinstance(rates, dict):
            chosen["learning_rate"] = rates[method_name] if method_name in rates else rates[kind]
        chosen["limit"] = Limit.of(chosen["limit"], chosen.pop("sample"))
        return TrainSettings(**chosen)
