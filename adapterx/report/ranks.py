"""Ranks of a target's settings, each with the ranks that it may have.

A setting is surely better than another where their difference, paired by item, leaves zero out. Its interval of ranks
goes from one more than those that are surely better to the last but those that are surely worse (Goldstein and
Spiegelhalter 1996; Mohamad, van Zwet, Solari and Goeman 2021). The comparisons of one setting with all others share the
level by Holm's method, so that with 95 % probability, or more, none of them is false and the interval holds its rank.
Trainings of two settings count as independent; those of one seed that have something in common differ by less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.report.collect import CellResult
from adapterx.report.multiplicity import holm
from adapterx.report.scores import Family, Grid, Setting, headline
from adapterx.report.statistics import LEVEL, Measured
from adapterx.tasks.metrics import unit


@dataclass(frozen=True)
class Rank:
    """A setting's place among those of its target that have a score; 1 is the best."""

    setting: Setting
    metric: str
    rank: int
    low: int
    """The best rank it may have."""
    high: int
    """The worst."""
    of: int
    """Settings that are ranked."""


def ranks(grid: Grid) -> tuple[Rank, ...]:
    """The ranks on every target's main metric, the best first; none where a target has fewer than two scores."""
    found: list[Rank] = []
    for name, facts in grid.results.targets.items():
        family = grid.of(name, facts.metrics[0])
        if family is not None:
            found += _of_target(family, {of: cells for of, cells in grid.settings.items() if of.target == name})
    return tuple(found)


def _of_target(family: Family, settings: dict[Setting, list[CellResult]]) -> list[Rank]:
    known = {of: family.measured(cells) for of, cells in settings.items()}
    name = headline(family.facts)
    scores = {of: found[name] for of, found in known.items() if name in found}
    if len(scores) < 2:
        return []
    sign = 1 if unit(family.metric).better == "higher" else -1
    order = sorted(scores, key=lambda of: -sign * scores[of].value)
    doubts = _doubts([scores[of] for of in order])
    ranked = []
    for at, of in enumerate(order):
        others = [other for other in range(len(order)) if other != at]
        clear = holm([doubts[at][other] for other in others], 1 - LEVEL)
        better = sum(sure and other < at for sure, other in zip(clear, others, strict=True))
        worse = sum(sure and other > at for sure, other in zip(clear, others, strict=True))
        ranked.append(Rank(of, family.metric, at + 1, 1 + better, len(order) - worse, len(order)))
    return ranked


def _doubts(scores: Sequence[Measured]) -> list[list[float]]:
    """p-values of all pairs of scores being equal, (m, m)."""
    doubts = [[1.0] * len(scores) for _ in scores]
    for at, one in enumerate(scores):
        for other in range(at):
            doubts[at][other] = doubts[other][at] = (one - scores[other]).doubt()
    return doubts
