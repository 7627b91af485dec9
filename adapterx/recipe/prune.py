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

OfMethod = Annotated[
    Annotated[Rates, Tag("a list")] | Annotated[PositiveFloat, Tag("one rate")],
    Discriminator(lambda value: "a list" if isinstance(value, list | tuple) else "one rate"),
]
"""A method's candidates; or its one learning rate, where nothing is chosen."""

LearningRates = Annotated[
    Annotated[Rates, Tag("a list")] | Annotated[dict[str, OfMethod], Tag("by method")],
    Discriminator(lambda value: "by method" if isinstance(value, dict) else "a list"),
]

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


def _as_many(rates: tuple[float, ...] | dict[str, tuple[float, ...] | float]) -> object:
    if not isinstance(rates, dict):
        return rates
    lists = {name: len(candidates) for name, candidates in rates.items() if isinstance(candidates, tuple)}
    if len(set(lists.values())) > 1:
        told = " and ".join(f"{name} {count}" for name, count in lists.items())
        raise ValueError(f"gives {told} candidates: arms would not be tuned alike, so give each as many")
    if rates and not lists:
        raise ValueError("holds one learning rate for each method, which needs no choice: write it as learning_rate")
    return rates


class Prune(Model):
    """Train with each of several learning rates and end the hopeless ones early, by successive halving.

    After Jamieson & Talwalkar 2016 (arXiv 1502.07943), as one bracket of Hyperband (Li et al. 2018, arXiv 1603.06560).
    """

    learning_rates: Annotated[LearningRates, AfterValidator(_as_many)]
    """The candidates, at least two; or such a list per method, by its name in the recipe or its kind.

    A method may have one rate in place of a list: it is trained with that, and nothing is chosen.
    """
    rungs: Annotated[tuple[Share, ...], Field(strict=False, min_length=1), AfterValidator(_ascending)] = (0.25, 0.5)
    """Shares of the training after which the candidates are compared on the dev set of the training languages."""
    keep: Share = 0.5
    """Share of the candidates that goes on from a rung, rounded up; at least one goes on, and at least one leaves."""
    limit: PositiveInt | None = None
    """Dev examples per language; all of them when null."""
    sample: Sample = "random"
    """Which ones a limit keeps."""

    def rate_of(self, method_name: str, kind: str) -> float | None:
        """The one learning rate of a method for which nothing is chosen; KeyError where it has no rates."""
        rates = self._rates(method_name, kind)
        return rates if isinstance(rates, float) else None

    def of(self, method_name: str, kind: str) -> PruneSettings:
        """What it comes to for a method with candidates; KeyError where it has no rates."""
        rates = self._rates(method_name, kind)
        assert not isinstance(rates, float)
        return PruneSettings(rates, self.rungs, self.keep, Limit.of(self.limit, self.sample))

    def _rates(self, method_name: str, kind: str) -> tuple[float, ...] | float:
        rates = self.learning_rates
        if not isinstance(rates, dict):
            return rates
        return rates[method_name] if method_name in rates else rates[kind]
