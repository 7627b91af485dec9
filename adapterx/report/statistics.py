"""The bootstrap: intervals over items and seeds, drawn once per target so that whatever is compared is paired.

Items are resampled with replacement: the same item ids in every language when the target's languages share their
items, language by language otherwise, and the same draw in every cell (Efron and Tibshirani 1993, ch. 8). A score is
a function of summed per-item statistics, so all resamples of a cell are one product of counts with statistics.

Seeds are resampled too when there are several. Resampling S seeds understates their variance by (S - 1) / S, badly
so for S = 2 or 3; deviations from the mean over seeds are therefore stretched by sqrt(S / (S - 1)) (Rao and Wu 1988).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapterx.report.collect import TargetFacts
from adapterx.report.predictions import Predictions
from adapterx.tasks.metrics import Metric

Array = NDArray[np.float64]
SEED = 1
"""Of every random draw in a report."""
LEVEL = 0.95


VISIBLE = 0.0005
"""Differences of scores below this are printed as 0.0 percentage points."""


@dataclass(frozen=True)
class Estimate:
    """A value with its percentile interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of zero, 0 where it does not.

        A bound that a reader sees as 0.0 points is zero.
        """
        return int(self.low >= VISIBLE) - int(self.high <= -VISIBLE)


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
class Drawn:
    """A quantity with all its resamples."""

    points: Array
    """(...)"""
    draws: Array
    """(..., resamples)"""

    def __sub__(self, other: Drawn) -> Drawn:
        return Drawn(self.points - other.points, self.draws - other.draws)

    def mean(self, which: list[int] | None = None) -> Drawn:
        """Mean over the first axis, or over some of its entries."""
        rows = slice(None) if which is None else which
        return Drawn(self.points[rows].mean(axis=0), self.draws[rows].mean(axis=0))

    def over_seeds(self, weights: Array) -> Drawn:
        """Mean over the first axis, the seeds, reweighted in every resample by `weights` (resamples, seeds)."""
        return Drawn(self.points.mean(axis=0), np.einsum("s...b,bs->...b", self.draws, weights))

    def estimate(self) -> Estimate:
        """Value and interval of a single quantity, (resamples,)."""
        low, high = np.quantile(self.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(float(self.points), float(low), float(high))


def average(parts: list[Drawn]) -> Drawn:
    """Mean of several quantities of one shape."""
    return Drawn(np.mean([part.points for part in parts], axis=0), np.mean([part.draws for part in parts], axis=0))


def generator(*key: str) -> np.random.Generator:
    """Random numbers that depend on the report's seed and the key alone."""
    digest = hashlib.sha256("\0".join(key).encode()).digest()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([SEED, *digest])))


def item_counts(items: int, resamples: int, random: np.random.Generator) -> NDArray[np.float32]:
    """How often each item occurs in each resample: (resamples, items), rows summing to `items`."""
    picked = random.integers(0, items, size=(resamples, items))
    picked += np.arange(resamples)[:, None] * items
    counts = np.bincount(picked.ravel(), minlength=resamples * items)
    return counts.reshape(resamples, items).astype(np.float32)


def seed_weights(seeds: int, resamples: int, random: np.random.Generator) -> Array:
    """Weight of each seed in each resample: (resamples, seeds), rows summing to 1; all 1 for a single seed."""
    if seeds == 1:
        return np.ones((resamples, 1))
    share = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    stretched: Array = 1 / seeds + np.sqrt(seeds / (seeds - 1)) * (share - 1 / seeds)
    return stretched


class Resampler:
    """The resamples of one target's items, the same ones for every cell and metric."""

    def __init__(self, target: TargetFacts, resamples: int) -> None:
        self.languages = target.languages
        self._counts: list[tuple[tuple[str, ...], NDArray[np.float32]]] = []
        groups = [target.languages] if target.parallel else [(language,) for language in target.languages]
        for group in groups:
            random = generator("items", target.name, *([] if target.parallel else group))
            self._counts.append((group, item_counts(len(target.items[group[0]]), resamples, random)))

    def score(self, scores: Predictions, metric: Metric) -> Mapping[str, Drawn]:
        """The metric in every language the cell was evaluated in, with its resamples."""
        drawn = {}
        for group, counts in self._counts:
            present = [language for language in group if language in scores.languages]
            if not present:
                continue
            statistics = np.stack([scores.languages[name].statistics[metric.name] for name in present], axis=1)
            items, languages, width = statistics.shape
            sums = (counts @ statistics.reshape(items, -1)).reshape(-1, languages, width).astype(np.float64)
            draws, points = metric.value(sums), metric.value(statistics.sum(axis=0, dtype=np.float64))
            drawn.update({name: Drawn(points[at], draws[:, at]) for at, name in enumerate(present)})
        return drawn
