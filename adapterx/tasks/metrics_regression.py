"""Correlations of predicted numbers with the right ones: Pearson's, and Spearman's of their ranks.

Both are given through what each item contributes, so that scores of other items are sums as for every metric. With one
answer to everything a correlation is not defined; it counts 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NAMES = ("pearson", "spearman")


class Correlation:
    """Pearson's correlation by its influences: r + IF_i of each item, whose mean is r.

    IF of a correlation is z_x z_y - r (z_x² + z_y²) / 2 in standardised values (Devlin et al. 1975, Biometrika 62).
    Spearman's is Pearson's of mid-ranks, as shares of the items; an item has a part in the others' ranks too, so its
    influence has two more terms, the mean over items j of what a change of their ranks is worth times the change,
    [x_i < x_j] + [x_i = x_j] / 2 - rank_j, and likewise for y (Croux & Dehon 2010, Stat. Methods Appl. 19).
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def statistics(self, gold: Sequence[Any], prediction: Sequence[Any], language: str = "") -> Array:
        """Columns: r + IF_i, and 1."""
        x, y = (np.asarray(values, np.float64) for values in (gold, prediction))
        if len(x) != len(y):
            raise ValueError("right and predicted numbers differ in number")
        ones = np.ones(len(x))
        if self.name == "spearman" and len(x):
            given = x, y
            x, y = (_ranks(values) for values in given)
        if not len(x) or not _varies(x) or not _varies(y):
            return np.stack([0 * ones, ones], axis=1)
        (zx, sx), (zy, sy) = _standardised(x), _standardised(y)
        r = float(np.mean(zx * zy))
        influence = zx * zy - r / 2 * (zx**2 + zy**2)
        if self.name == "spearman":
            influence = influence + _moved(given[0], x, (zy - r * zx) / sx) + _moved(given[1], y, (zx - r * zy) / sy)
        return np.stack([r + influence - influence.mean(), ones], axis=1)

    def value(self, sums: Array) -> Array:
        """The mean of the first column."""
        return np.divide(sums[..., 0], sums[..., 1], out=np.zeros_like(sums[..., 0]), where=sums[..., 1] != 0)

    def plainest(self, gold: Sequence[Any]) -> Sequence[Any]:
        """The mean of the right numbers, for everything."""
        return [float(np.mean(gold))] * len(gold)


def _varies(values: Array) -> bool:
    return bool(np.ptp(values) > 1e-12 * max(1.0, float(np.abs(values).max())))


def _standardised(values: Array) -> tuple[Array, float]:
    """The values with mean 0 and standard deviation 1, and what that was."""
    spread = float(values.std())
    return (values - values.mean()) / spread, spread


def _ranks(values: Array) -> Array:
    """Mid-ranks as shares of the items: those below, and half of those that are equal, itself included."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    return (below[place] + counts[place] / 2) / len(values)


def _moved(values: Array, ranks: Array, worth: Array) -> Array:
    """Of each item i the mean over j of worth_j ([value_i < value_j] + [value_i = value_j] / 2 - rank_j)."""
    _, place = np.unique(values, return_inverse=True)
    of_value = np.bincount(place, worth)
    above = of_value.sum() - np.cumsum(of_value)
    moved: Array = (above[place] + of_value[place] / 2 - float(worth @ ranks)) / len(values)
    return moved
