"""Several learning rates for one training, the hopeless ones ended early: what a recipe says about it."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag

from adapterx.config.fields import Model, PositiveFloat, PositiveInt, unique
from adapterx.limits import Limit, Sample
from adapterx.train_settings import PruneSettings


def _several(rates: tuple[float, ...]) -> tuple[float, ...]:
    if len(rates) == 1:
        raise ValueError("holds a single learning rate, which needs no choice: write it as learning_rate")
    return rates


def _ascending(rungs: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(rungs)):
        raise ValueError("should ascend: each rung lies later in the training than the one before it")
    return rungs


Rates = Annotated[
    tuple[PositiveFloat, ...],
    Field(strict=False, min_length=1),
    AfterValidator(unique),
    AfterValidator(_several),
]

LearningRates = Annotated[
    Annotated[Rates, Tag("a list")] | Annotated[dict[str, Rates], Tag("by method")],
    Discriminator(lambda value: "by method" if isinstance(value, dict) else "a list"),
]

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


def _as_many(rates: tuple[float, ...] | dict[str, tuple[float, ...]]) -> object:
    if isinstance(rates, dict) and len({len(candidates) for candidates in rates.values()}) > 1:
        told = " and ".join(f"{name} {len(candidates)}" for name, candidates in rates.items())
        raise ValueError(f"gives {told} candidates: arms would not be tuned alike, so give each as many")
    return rates


class Prune(Model):
    """Train with each of several learning rates and end the hopeless ones early, by successive halving.

    After Jamieson & Talwalkar 2016 (arXiv 1502.07943), as one bracket of Hyperband (Li et al. 2018, arXiv 1603.06560).
    """

    learning_rates: Annotated[LearningRates, AfterValidator(_as_many)]
    """The candidates, at least two; or such a list per method, by its name in the recipe or its kind."""
    rungs: Annotated[tuple[Share, ...], Field(strict=False, min_length=1), AfterValidator(_ascending)] = (0.25, 0.5)
    """Shares of the training after which the candidates are compared on the dev set of the training languages."""
    keep: Share = 0.5
    """Share of the candidates that goes on from a rung, rounded up; at least one goes on, and at least one leaves."""
    limit: PositiveInt | None = None
    """Dev examples per language; all of them when null."""
    sample: Sample = "random"
    """Which ones a limit keeps."""

    def of(self, method_name: str, kind: str) -> PruneSettings:
        """What it comes to for one method; KeyError where there is no list for it."""
        rates = self.learning_rates
        if isinstance(rates, dict):
            rates = rates[method_name] if method_name in rates else rates[kind]
        return PruneSettings(rates, self.rungs, self.keep, Limit.of(self.limit, self.sample))
