"""Which weights to merge adapters with, chosen by a score: which vectors are tried, in which order, and which one wins.

Weights are exact fractions, so that equal vectors are equal and a choice can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TypeAlias

Vector: TypeAlias = tuple[Fraction, ...]
"""One weight per member, none below 0."""
GRID = 4
"""Steps from 0 to 1 of each weight of the grid."""
GRID_MEMBERS = 3
"""Up to this many members every vector of the grid is tried; of more, there would be too many."""


@dataclass(frozen=True)
class Trial:
    """One vector and how the adapter merged with it scored."""

    weights: Vector
    scores: tuple[float, ...]
    """Of equal importance: on each member's dev data, say."""

    @property
    def score(self) -> float:
        """Their mean, which is what decides."""
        return math.fsum(self.scores) / len(self.scores)


def search(members: int, sums: bool, scored: Callable[[Vector], tuple[float, ...]]) -> tuple[Trial, ...]:
    """Every vector tried, in order.

    The arithmetic's default first, which is 1 for each member where it sums, and the equal one that sums to 1. Then,
    up to GRID_MEMBERS members, all that sum to 1 in steps of 1 / GRID: 5 in all for two members, 16 for three. Of more
    members, one pass of a coordinate search from equal weights: each member in turn counts not at all or twice, the
    others as they stand, in proportions that again sum to 1, and what `best` says stays; 1 + 2 · members in all.
    """
    trials: dict[Vector, Trial] = {}

    def tried(vector: Vector) -> Trial:
        if vector not in trials:
            trials[vector] = Trial(vector, scored(vector))
        return trials[vector]

    if sums:
        tried((Fraction(1),) * members)
    tried(_shares((1,) * members))
    if members > GRID_MEMBERS:
        _by_coordinate(members, tried)
    else:
        for counts in product(range(GRID, -1, -1), repeat=members):
            if sum(counts) == GRID:
                tried(_shares(counts))
    return tuple(trials.values())


def best(trials: Sequence[Trial]) -> Trial:
    """The highest score; of equal ones the most even weights, then the first tried."""
    # Means of the same terms in another order differ in their last bits, which decide nothing.
    return max(trials, key=lambda trial: (round(trial.score, 9), -_unevenness(trial.weights)))


def _by_coordinate(members: int, tried: Callable[[Vector], Trial]) -> None:
    counts = (1,) * members
    for member in range(members):
        options = ((*counts[:member], count, *counts[member + 1 :]) for count in (counts[member], 0, 2))
        by_vector = {_shares(option): option for option in options if any(option)}
        counts = by_vector[best([tried(vector) for vector in by_vector]).weights]


def _shares(counts: Sequence[int]) -> Vector:
    return tuple(Fraction(count, sum(counts)) for count in counts)


def _unevenness(vector: Vector) -> Fraction:
    """Sum of the squared shares: from 1 / members, all alike, to 1, one alone."""
    total = sum(vector)
    return sum((weight / total * (weight / total) for weight in vector), Fraction(0))
