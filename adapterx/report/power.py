"""What a design can tell before it is run, and what a run that could not tell would have needed.

Power is the probability with which an interval leaves zero out although the effect is there. It follows from the two
variances of `statistics`: that of the items, which is as good as known, and that of training, which is estimated with
few degrees of freedom and scatters as σ² χ²(f) / f. For every size that the estimate may come out at, the interval
reaches as far as `statistics.half_width` says; power is the mean over those of the probability that the estimated
effect lies beyond. With no items' part this is the power of a t test (Cohen 1988; statsmodels' `TTestPower`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adapterx.report.statistics import LEVEL, Measured, half_width

POWER = 0.8
"""The probability with which an effect is to be found."""
MOST_SEEDS = 200
MOST_ITEMS = 1000
"""Times the items at hand."""
POINTS = 200
"""Sizes of the estimated variance over which power is averaged."""
PRECISE = 1e-4
"""Relative error of the smallest effect that is found."""


@dataclass(frozen=True)
class Spread:
    """How a quantity scatters in one design."""

    items: float
    """Variance due to the choice of items, without the interaction."""
    training: float
    """Variance due to training, the interaction with items included; 0 where nothing is known of it."""
    interaction: float
    """The part of `training` that more items would shrink."""
    freedom: float
    """Degrees of freedom of `training`."""
    count: int
    """Different items."""
    seeds: int

    def with_seeds(self, seeds: int) -> Spread:
        """The same with another number of seeds, 2 at least, where the variance of training is known."""
        share, freedom = self.seeds / seeds, self.freedom * (seeds - 1) / (self.seeds - 1)
        training, interaction = self.training * share, self.interaction * share
        return replace(self, training=training, interaction=interaction, freedom=freedom, seeds=seeds)

    def with_items(self, times: float) -> Spread:
        """The same with so many times the items."""
        interaction = min(self.interaction, self.training)
        return replace(
            self,
            items=self.items / times,
            training=self.training - interaction * (1 - 1 / times),
            interaction=interaction / times,
            count=max(round(self.count * times), 2),
        )


def spread(found: Measured, seeds: int) -> Spread:
    """How a quantity of a run scatters."""
    items = max(float(np.sum(np.square(found.influence, dtype=np.float64))) - found.interaction, 0.0)
    return Spread(items, found.training, found.interaction, found.freedom, found.items, seeds)


def power(of: Spread, effect: float, level: float = LEVEL) -> float:
    """The probability with which an interval at that level leaves zero out, where the truth is `effect`."""
    reached, weights = _reached(of, level)
    return _power(of, effect, reached, weights)


def smallest(of: Spread, level: float = LEVEL, wanted: float = POWER) -> float:
    """The smallest effect that is found with probability `wanted`; 0 where nothing scatters."""
    error = math.sqrt(of.items + of.training)
    if not error:
        return 0.0
    reached, weights = _reached(of, level)
    low, high = 0.0, error
    while _power(of, high, reached, weights) < wanted:
        low, high = high, 2 * high
    while high - low > PRECISE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _power(of, middle, reached, weights) < wanted else (low, middle)
    return high


def seeds_needed(of: Spread, effect: float, level: float = LEVEL) -> int | None:
    """The fewest seeds with which an effect is found, of at least as many as there are; None where no number does.

    Nothing is known of it where the variance of training is not: ValueError.
    """
    if of.seeds < 2 or not of.freedom:
        raise ValueError("one seed says nothing of how trainings scatter")
    low, high = of.seeds, MOST_SEEDS
    if smallest(of.with_seeds(high), level) > effect:
        return None
    while low < high:
        middle = (low + high) // 2
        if smallest(of.with_seeds(middle), level) <= effect:
            high = middle
        else:
            low = middle + 1
    return low


def items_needed(of: Spread, effect: float, level: float = LEVEL) -> float | None:
    """How many times the items would do, to the next tenth; None where no number does."""
    low, high = 1.0, float(MOST_ITEMS)
    if smallest(of.with_items(high), level) > effect:
        return None
    while high - low > 0.05 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if smallest(of.with_items(middle), level) <= effect else (middle, high)
    return math.ceil(10 * high) / 10


def _reached(of: Spread, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far intervals reach for what the variance of training may be estimated at, and how likely each is."""
    if not of.training:
        return np.array([half_width(of.items, of.count, 0.0, 0.0, level)]), np.ones(1)
    # The square root of χ²(f) / f has the density s^(f - 1) exp(-f s² / 2) but for a factor; beyond `top` is nothing.
    top = 1 + 7 / math.sqrt(of.freedom)
    ratios = (np.arange(POINTS) + 0.5) / POINTS * top
    logarithms = (of.freedom - 1) * np.log(ratios) - of.freedom * ratios**2 / 2
    weights = np.exp(logarithms - logarithms.max())
    reached = [half_width(of.items, of.count, of.training * ratio**2, of.freedom, level) for ratio in ratios]
    return np.array(reached), weights / weights.sum()


def _power(of: Spread, effect: float, reached: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    error = math.sqrt(2 * (of.items + of.training))
    beyond = [math.erfc((half - effect) / error) + math.erfc((half + effect) / error) for half in reached]
    return float(weights @ np.array(beyond)) / 2
