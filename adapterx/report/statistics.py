"""Intervals over test items and trainings.

Two things could have come out otherwise: which items were tested, and how each training ended. Both enter an interval.

- **Items.** An item's influence on a score is what the delete-one jackknife says (Efron and Tibshirani 1993, ch. 11);
  the sum of its squares is the variance that a bootstrap over items estimates, without draws. Influences add and
  subtract as scores do, so whatever is compared is paired by item: over languages, arms and backbones.
- **Trainings.** Scores of S seeds scatter with the variance of training plus that of the interaction of training and
  item, which the items' part has counted too and which is therefore taken out of it. Two or three seeds say little
  about a variance, so it is pooled over all settings of a target. That of a gap is the variance between seeds of the
  differences, pooled over all gaps of the target: whatever two trainings with one seed share is in it. Trainings of
  two backbones are independent.

A pooled variance of m settings has fewer than the sum F of their degrees of freedom, for they do not vary alike. It is
given 0.7 F + 0.3 W, where W, after Satterthwaite (1946), is what F would shrink to if the estimates were the truth.

An interval reaches the mean of two lengths to each side: sqrt(t(f)^2 training + t(n - 1)^2 items), which is too long
where both parts are alike, and t(w) sqrt(training + items) with w by Welch and Satterthwaite, which is too short there.
tools/coverage.py shows how often such intervals hold the truth. With one seed nothing is known of training: intervals
are about the trained models at hand, and have the items' part alone.

A score that is a share has an interval of Wilson's kind (1927). Its variance over items is that of a share, P (1 - P)
over a number of items, for whatever P the truth is; so the interval holds all P for which
(p - P)^2 <= a P (1 - P) + b, where a P (1 - P) is the items' part of the squared length at the score p itself, and b
that of training. Of one model whose items are right or wrong this is Wilson's interval, with t in place of the normal
quantile. It stays within [0, 1], and has a length where every item is right. With many items nothing changes.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.report.student import reach

Array = NDArray[np.floating[Any]]
LEVEL = 0.95
METHOD = "t over items (jackknife) and trainings (variance pooled over settings, of gaps over gaps); of shares Wilson's"
"""What intervals of means over seeds are called in files."""
METHOD_OF_A_SHARE = "Wilson's over items (jackknife)"
"""What the interval of a single trained model's score is called, where that is a share."""
METHOD_OF_OTHERS = "t over items (jackknife)"
"""The same of any other score, and of differences."""
METHOD_OF_A_CELL = f"{METHOD_OF_A_SHARE}; of scores that are no shares, and of differences, {METHOD_OF_OTHERS}"
"""All of it in one text."""
ALIKE = 0.7
"""How far a pooled variance has the degrees of freedom of settings that vary alike: the rest is taken from the data."""
DOUBTS = (1.0, *((1 - LEVEL) * 0.98**step for step in range(-148, 850)))
"""p-values, from 1 down to below 1e-8. So few are asked for that their quantiles are found once."""
STEP = 0.01
"""Of the logarithm of degrees of freedom whose quantiles are computed."""
NOTHING = 1e-12
"""What is smaller than this is zero that arithmetic has missed."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of zero, 0 where it does not."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Missing:
    """A value that cannot be given, because only `present` of `wanted` parts are there."""

    present: int
    wanted: int
    unit: str
    """In the singular."""
    why: str = ""

    @property
    def count(self) -> str:
        """2 of 3 seeds, 0 of 1 seed."""
        return f"{self.present} of {self.wanted} {self.unit}" + ("" if self.wanted == 1 else "s")

    def __str__(self) -> str:
        return self.count + (f" ({self.why})" if self.why else "")


Quantity = Estimate | Missing


@dataclass(frozen=True)
class Scored:
    """One trained model's score, and what each item contributes to its error."""

    value: float
    influence: Array
    """(items,)"""

    def __sub__(self, other: Scored) -> Scored:
        return Scored(self.value - other.value, self.influence - other.influence)


def joined(parts: Sequence[Scored]) -> Scored:
    """The mean of scores on different items, laid end to end."""
    influence = np.concatenate([one.influence for one in parts]) / len(parts)
    return Scored(float(np.mean([one.value for one in parts])), influence)


@dataclass(frozen=True)
class Sample:
    """A score, or a difference of two, as it came out with each of S seeds."""

    values: tuple[float, ...]
    influence: Array
    """(items,): on their mean."""
    interaction: float
    """Variance of a seed's score around the others' that is due to the choice of items; 0 for a single seed."""
    items: int
    """Different items behind it; the fewest of a target, where targets are averaged."""
    untrained: bool = False
    """Whether no training is behind it: all seeds are one evaluation of a backbone as it is."""

    @property
    def value(self) -> float:
        """Their mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def freedom(self) -> int:
        """What it adds to the degrees of freedom of the variance of training."""
        return 0 if self.untrained else len(self.values) - 1


def sample(seeds: Sequence[Scored], items: int, *, untrained: bool = False) -> Sample:
    """The scores of several seeds, at least one."""
    stacked = np.array([one.influence for one in seeds])
    influence = stacked.sum(axis=0) / len(seeds)
    interaction = _squares(stacked - influence) / (len(seeds) - 1) if len(seeds) > 1 else 0.0
    return Sample(tuple(one.value for one in seeds), influence, interaction, items, untrained)


def differences(arm: Sequence[Scored], baseline: Sequence[Scored], items: int, *, untrained: bool = False) -> Sample:
    """Arm minus baseline with each of several seeds, at least one.

    Arms that answer every item alike with every seed are one training, or none: they differ by no chance.
    """
    found = [one - other for one, other in zip(arm, baseline, strict=True)]
    alike = not any(one.value or one.influence.any() for one in found)
    return sample(found, items, untrained=untrained or alike)


@dataclass(frozen=True)
class TrainingVariance:
    """How one training's score scatters, in all settings of a family."""

    variance: float
    """Between seeds."""
    interaction: float
    """The part of it that is due to the choice of items."""
    freedom: float
    """Degrees of freedom; 0 where nothing is known."""


def pooled(samples: Iterable[Sample]) -> TrainingVariance:
    """The variance between seeds that settings have in common, each weighing by its degrees of freedom."""
    known = [one for one in samples if one.freedom]
    if not known:
        return TrainingVariance(0.0, 0.0, 0.0)
    freedom = sum(one.freedom for one in known)
    squares = [math.fsum((value - one.value) ** 2 for value in one.values) for one in known]
    total = math.fsum(squares)
    interaction = math.fsum(one.freedom * one.interaction for one in known)
    uneven = math.fsum(square**2 / one.freedom for square, one in zip(squares, known, strict=True))
    satterthwaite = total**2 / uneven if uneven else freedom
    certain = max(ALIKE * freedom + (1 - ALIKE) * satterthwaite, *(one.freedom for one in known), 0)
    return TrainingVariance(total / freedom, interaction / freedom, float(certain))


@dataclass(frozen=True)
class Measured:
    """A quantity with its two variances."""

    value: float
    influence: Array
    """(items,)"""
    items: int
    training: float
    """Variance of `value` between trainings; 0 where nothing is known of it."""
    interaction: float
    """The part of it that is due to the choice of items."""
    freedom: float
    """Degrees of freedom of `training`."""
    rare: float = 0.0
    """Variance that is added for what items at hand may be too few to show, where no training is behind it."""

    def __sub__(self, other: Measured) -> Measured:
        return combined([(1.0, self), (-1.0, other)])

    def reach(self, level: float = LEVEL) -> float:
        """How far its interval goes to each side. A single item says nothing of others: it reaches over all scores."""
        if self.items < 2:
            return max(1.0, abs(self.value))
        items = max(_squares(self.influence) - self.interaction, 0.0) + self.rare
        return half_width(items, self.items, self.training, self.freedom, level)

    def estimate(self, *, share: bool = False) -> Estimate:
        """Value and interval; that of a share lies in [0, 1]."""
        low, high = self._wilson() if share else (self.value - self.reach(), self.value + self.reach())
        return Estimate(*(0.0 if abs(end) < NOTHING else end for end in (self.value, low, high)))

    def _wilson(self) -> tuple[float, float]:
        """The bounds of a share."""
        share = min(max(self.value, 0.0), 1.0)
        if self.items < 2:
            return 0.0, 1.0
        spread, length = share * (1 - share), self.reach() ** 2
        items = _squares(self.influence)
        if spread > NOTHING and items > NOTHING**2:
            both = max(items - self.interaction, 0.0) + self.training
            of_items = length * (items / both if both > items else 1.0)
            scaled = of_items / spread
        else:  # all items alike say no more than that many could
            of_items, scaled = 0.0, reach(LEVEL, self.items - 1) ** 2 / self.items
        fixed = max(length - of_items, 0.0)
        middle = share + scaled / 2
        half = math.sqrt(scaled * spread + scaled**2 / 4 + fixed * (1 + scaled))
        low, high = (middle - half) / (1 + scaled), (middle + half) / (1 + scaled)
        return min(max(low, 0.0), share), max(min(high, 1.0), share)

    def doubt(self) -> float:
        """The p-value of a value of zero: one minus the highest level at which the interval leaves zero out.

        Rounded up to the next of `DOUBTS`, among which is 1 - `LEVEL`, so that it agrees with `estimate`.
        """
        if abs(self.value) < NOTHING:
            return 1.0
        return self._doubt(abs(self.value))

    def beyond(self, margin: float) -> float:
        """The p-value of the truth being as far from zero as `margin`, or farther: one-sided, of the nearer bound.

        At most (1 - `LEVEL`) / 2 where the interval lies within the margin, for it is rounded as `doubt` is.
        """
        away = margin - abs(self.value)
        return self._doubt(away) / 2 if away > NOTHING else 1.0

    def _doubt(self, distance: float) -> float:
        """The p-value of a truth that is so far from the value."""
        return DOUBTS[bisect(range(1, len(DOUBTS)), False, key=lambda at: distance <= self.reach(1 - DOUBTS[at]))]


def half_width(items: float, count: int, training: float, freedom: float, level: float = LEVEL) -> float:
    """How far an interval reaches to each side.

    Args:
        items: variance due to the choice of items.
        count: different items, 2 at least.
        training: variance due to training, 0 where nothing is known of it.
        freedom: degrees of freedom of `training`.
    """
    apart = reach(level, count - 1) ** 2 * items
    if not training:
        return math.sqrt(apart)
    apart += reach(level, _down(freedom)) ** 2 * training
    both = items + training
    welch = both**2 / (training**2 / freedom + items**2 / (count - 1))
    return (math.sqrt(apart) + reach(level, _down(welch)) * math.sqrt(both)) / 2


def measured(found: Sample, training: TrainingVariance) -> Measured:
    """The mean over a setting's seeds."""
    if found.untrained or not training.freedom:
        return Measured(found.value, found.influence, found.items, 0.0, 0.0, training.freedom)
    seeds = len(found.values)
    interaction = found.interaction if seeds > 1 else training.interaction
    return Measured(
        found.value, found.influence, found.items, training.variance / seeds, interaction / seeds, training.freedom
    )


def combined(parts: Sequence[tuple[float, Measured]]) -> Measured:
    """A weighted sum of quantities on the same items whose trainings are independent."""
    influence = np.zeros_like(parts[0][1].influence)
    for weight, one in parts:
        influence += weight * one.influence
    return Measured(
        value=float(sum(weight * one.value for weight, one in parts)),
        influence=influence,
        items=min(one.items for _, one in parts),
        training=sum(weight**2 * one.training for weight, one in parts),
        interaction=sum(weight**2 * one.interaction for weight, one in parts),
        freedom=max(one.freedom for _, one in parts),
        # On twice the items twice as many differ: the two items are added once for all parts together.
        rare=sum(weight**2 * one.rare for weight, one in parts) / len(parts),
    )


def difference_of_models(found: Measured, items: int) -> Measured:
    """The difference of two trained models' shares, or of their means over languages.

    Two models differ on few of few items, so few that their number says little of its own variance. As in the intervals
    of Bonett and Price (2012) the variance is that with one more item for which the one is right and the other wrong,
    and one the other way round. Trainings that differ from seed to seed bring their own variance, and need none of it.

    Args:
        items: of all languages together, answered in each.
    """
    if found.training or not found.influence.any():
        return found
    return replace(found, rare=2 / items**2)


def _squares(influence: Array) -> float:
    flat = influence.ravel()
    return float(np.dot(flat, flat))


def _down(freedom: float) -> float:
    """Degrees of freedom, at most 1 % fewer, so that few quantiles are computed."""
    return math.exp(math.floor(math.log(freedom) / STEP) * STEP)
