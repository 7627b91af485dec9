"""What the gaps of a run say together: each contrast over all backbone sizes, and which of its claims hold.

A contrast is one method, transfer and target (and backbone, where all are of one size). Its gap is regressed on the
logarithm of the backbone's parameters, embeddings left out; the change is that of the fitted line from the smallest
size to the largest, which with two sizes is the difference of two gaps. Of three sizes and more it is told as a slope,
per doubling of parameters. Claims allow for their number (Holm 1979), half of the level being the mean's.

That a gap hardly changes is a claim too: that no change is as large as a margin, which the recipe's `compare` sets.
It holds where the interval lies within the margin, the test of equivalence by two one-sided tests (Schuirmann 1987) at
half of the level each; among several contrasts such claims share their level like the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from adapterx.report.gaps import Gap
from adapterx.report.levels import Level
from adapterx.report.multiplicity import holm
from adapterx.report.power import Spread, spread
from adapterx.report.statistics import LEVEL, Estimate, Measured, Missing, Quantity, combined
from adapterx.tasks.metrics import unit

MARGIN = 0.01
"""A change or gap whose interval lies within this, of scores from 0 to 1, is too small to speak of; the default."""
SLOPED = 3
"""Sizes from which on a change is told per doubling."""
Verdict = Literal["up", "down", "bends", "flat", "open", "missing"]
"""Rises or falls with size (above or below zero, where there is one size); does both; hardly changes; open; missing."""


@dataclass(frozen=True)
class Contrast:
    """A gap over backbone sizes."""

    method: str
    transfer: str
    target: str
    """These are empty where contrasts are averaged over."""
    backbone: str
    """Empty unless all backbones are of one size."""
    metric: str
    at: tuple[tuple[Level, Quantity], ...]
    """The gap at every size, the smallest first."""
    change: Quantity | None
    """From the smallest size to the largest; None where there is one size."""
    bends: bool
    """Whether neighbouring sizes differ clearly in both directions."""
    doubt: float
    """p-value of no change, or of no gap where there is one size; 1 where something is missing."""
    reason: str
    """What is missing, and why."""
    trained: bool
    """Whether the chance of training is in its intervals."""
    margin: float = MARGIN
    """An effect smaller than this is too small to speak of."""
    exceeds: float | None = None
    """p-value of an effect as large as the margin; None where the metric's scores are no shares, or it is missing."""
    spread: Spread | None = None
    """How the effect scatters; None where it is missing."""

    @property
    def doublings(self) -> float:
        """How often the parameters double from the smallest size to the largest."""
        return math.log2(self.at[-1][0].parameters / self.at[0][0].parameters)

    @property
    def sloped(self) -> bool:
        """Whether it is told as a slope."""
        return self.change is not None and len(self.at) >= SLOPED

    @property
    def slope(self) -> Quantity | None:
        """The change per doubling of parameters, of three sizes and more."""
        if not self.sloped or not isinstance(self.change, Estimate):
            return self.change if self.sloped else None
        return Estimate(*(end / self.doublings for end in (self.change.value, self.change.low, self.change.high)))

    @property
    def within(self) -> bool:
        """Whether the whole interval of the effect is smaller than the margin."""
        effect = self.effect
        return self.share and isinstance(effect, Estimate) and max(-effect.low, effect.high) < self.margin

    @property
    def share(self) -> bool:
        """Whether its metric's scores lie in [0, 1]."""
        return unit(self.metric).factor == 100

    @property
    def effect(self) -> Quantity:
        """What is claimed of it: the change, or the gap where there is one size."""
        return self.at[0][1] if self.change is None else self.change

    @property
    def alike(self) -> bool:
        """Whether both arms answer every item alike."""
        nothing = Estimate(0.0, 0.0, 0.0)
        return all(gap == nothing for _, gap in self.at)


@dataclass(frozen=True)
class Trend:
    """What a gap does over sizes."""

    change: Quantity | None
    """None where there is one size."""
    bends: bool
    doubt: float
    effect: Measured | None
    """The change, or the gap where there is one size; None where something is missing."""


def trend(levels: Sequence[tuple[Level, Measured | Missing]], comparisons: int) -> Trend:
    """Change over sizes, whether the gap bends on the way, and the p-value of what is claimed.

    Args:
        levels: the gap at every size, the smallest first.
        comparisons: how many contrasts share the level.
    """
    known = [(level, gap) for level, gap in levels if isinstance(gap, Measured)]
    if len(known) < len(levels):
        missing = Missing(len(known), len(levels), "gap")
        return Trend(missing if len(levels) > 1 else None, False, 1.0, None)
    if len(known) == 1:
        return Trend(None, False, known[0][1].doubt(), known[0][1])
    weights = slope_weights([level.parameters for level, _ in known])
    change = combined([(weight, gap) for weight, (_, gap) in zip(weights, known, strict=True)])
    steps = [larger - smaller for (_, smaller), (_, larger) in pairwise(known)]
    level = 1 - (1 - LEVEL) / (comparisons * len(steps))
    clear = {math.copysign(1, step.value) for step in steps if abs(step.value) > step.reach(level)}
    return Trend(change.estimate(), len(clear) == 2, change.doubt(), change)


def slope_weights(parameters: Sequence[int]) -> list[float]:
    """The weight of each size's gap in the change of the line fitted by least squares, from first size to last."""
    sizes = [math.log(one) for one in parameters]
    middle = sum(sizes) / len(sizes)
    spread = sum((size - middle) ** 2 for size in sizes)
    return [(size - middle) / spread * (sizes[-1] - sizes[0]) for size in sizes]


def told(like: Contrast, found: Trend, seeds: int, delta: float) -> Contrast:
    """A contrast with its trend.

    Args:
        like: the contrast without it.
        seeds: behind every gap.
        delta: the largest change that is too small to speak of, in the metric's own unit: per doubling, of three sizes
            and more.
    """
    one = replace(like, change=found.change, bends=found.bends, doubt=found.doubt)
    one = replace(one, margin=delta * (one.doublings if one.sloped else 1))
    if found.effect is None:
        return one
    exceeds = found.effect.beyond(one.margin) if one.share else None
    return replace(one, exceeds=exceeds, spread=spread(found.effect, seeds))


def contrasts(found: Sequence[Gap], levels: Sequence[Level], delta: float = MARGIN) -> tuple[Contrast, ...]:
    """The contrasts that gaps belong to, in their order; gaps of backbones that have no level are left out.

    Args:
        delta: as of `told`.
    """
    by_size = len(levels) > 1
    known = {name for level in levels for name in level.backbones}
    grouped: dict[tuple[str, str, str, str], list[Gap]] = {}
    for gap in found:
        if gap.arm.backbone in known:
            key = gap.arm.method, gap.transfer, gap.arm.target, "" if by_size else gap.arm.backbone
            grouped.setdefault(key, []).append(gap)
    return tuple(_contrast(*key, of, levels, len(grouped), delta) for key, of in grouped.items())


def _contrast(
    method: str,
    transfer: str,
    target: str,
    backbone: str,
    found: Sequence[Gap],
    levels: Sequence[Level],
    number: int,
    delta: float,
) -> Contrast:
    """One contrast, at the sizes it has gaps of."""
    at: list[tuple[Level, Measured | Missing]] = []
    for level in levels:
        here = [gap for gap in found if gap.arm.backbone in level.backbones]
        if here:
            at.append((level.only([gap.arm.backbone for gap in here]), _mean(here)))
    measured = [gap.summary.measured for gap in found if gap.summary.measured is not None]
    blank = Contrast(
        method=method,
        transfer=transfer,
        target=target,
        backbone=backbone,
        metric=found[0].metric,
        at=tuple((level, shown(gap)) for level, gap in at),
        change=None,
        bends=False,
        doubt=1.0,
        reason=next((gap.missing for gap in found if gap.missing), ""),
        trained=any(one.freedom for one in measured),
    )
    return told(blank, trend(at, number), min(len(gap.seeds) for gap in found), delta)


def shown(gap: Measured | Missing) -> Quantity:
    """A gap as it is told."""
    return gap.estimate() if isinstance(gap, Measured) else gap


def _mean(found: Sequence[Gap]) -> Measured | Missing:
    """The gap at one size: the mean over its backbones, whose trainings are independent."""
    known = [gap.summary.measured for gap in found if gap.summary.measured is not None]
    if len(known) == len(found):
        return combined([(1 / len(known), one) for one in known])
    headline = found[0].summary.headline
    return headline if len(found) == 1 and isinstance(headline, Missing) else Missing(len(known), len(found), "gap")


def verdicts(
    singles: Sequence[Contrast], means: Sequence[Contrast] = ()
) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """What can be said of each contrast, and of means, such that with probability `LEVEL` nothing said is false.

    A single contrast has the whole level. Several share it with their means, which have half of it: the surest claim
    is held against its share of the level, and each that stands leaves its share to the others.
    """
    everything = [*singles, *means]
    shares = [(0.5 if means else 1.0) / len(singles)] * len(singles) + [0.5 / len(means) for _ in means]
    claimed = holm([one.doubt for one in everything], 1 - LEVEL, shares)
    known = [one for one in everything if one.exceeds is not None]
    shares = [share for one, share in zip(everything, shares, strict=True) if one.exceeds is not None]
    doubts = [one.exceeds for one in known if one.exceeds is not None]
    small = [id(one) for one, sure in zip(known, holm(doubts, (1 - LEVEL) / 2, shares), strict=True) if sure]
    said = tuple(
        _verdict(one, sure, id(one) in small or (one.exceeds is None and one.within))
        for one, sure in zip(everything, claimed, strict=True)
    )
    return said[: len(singles)], said[len(singles) :]


def _verdict(one: Contrast, claimed: bool, small: bool) -> Verdict:
    effect = one.effect
    if isinstance(effect, Missing):
        return "missing"
    if one.bends:
        return "bends"
    if claimed:
        return "up" if effect.value > 0 else "down"
    return "flat" if small and one.within and effect.sign == 0 and not one.alike else "open"
