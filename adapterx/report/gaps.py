"""Gaps between two intermediates, arm minus baseline, of one backbone, method, transfer and target.

A gap is paired by item and by seed: both sides are scored on the same items, and trained with the same seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.report.collect import CellResult, TargetFacts
from adapterx.report.scores import Family, Grid, Setting, Summary, summarise
from adapterx.report.statistics import Missing
from adapterx.wording import plain


@dataclass(frozen=True)
class Gap:
    """Arm minus baseline, on the target's main metric."""

    arm: Setting
    baseline: Setting
    metric: str
    """Nameless where no cell of the target was evaluated."""
    seeds: tuple[int, ...]
    """Those that both sides were to be trained with."""
    items: int
    """Test items per language (the fewest, where languages differ)."""
    summary: Summary
    missing: str
    """Which cells it lacks and why, or which languages; empty where it is whole."""

    @property
    def transfer(self) -> str:
        """The transfer it is about: an intermediate that trains nothing has none, on whichever side it stands."""
        return self.baseline.transfer if self.arm.transfer == "none" else self.arm.transfer


def gaps(grid: Grid) -> tuple[Gap, ...]:
    """Every gap the recipe's `compare` asks for; none without it."""
    return tuple(_gap(grid, arm, baseline, grid.of(*_scored(grid, arm))) for arm, baseline in grid.compared())


def gaps_between(grid: Grid, arm: str, baseline: str) -> tuple[Gap, ...]:
    """Every gap between two intermediates, which share the variance of training among themselves."""
    pairs = list(grid.between(arm, baseline))
    families = {
        (name, metric): None if (known := grid.of(name, metric)) is None else grid.family(known.facts, metric, pairs)
        for name, metric in dict.fromkeys(_scored(grid, one) for one, _ in pairs)
    }
    return tuple(_gap(grid, one, other, families[_scored(grid, one)]) for one, other in pairs)


def _scored(grid: Grid, of: Setting) -> tuple[str, str]:
    """A setting's target, and its main metric."""
    return of.target, grid.metrics(of.target)[0]


def _gap(grid: Grid, arm: Setting, baseline: Setting, family: Family | None) -> Gap:
    sides = grid.pair(arm, baseline)
    metric = grid.metrics(arm.target)[0]
    seeds = tuple(one.cell.seed for one in sides[0])
    missing = _missing(sides, family.facts if family else None)
    if family is None:
        nothing = Missing(0, len(seeds), "seed", statuses(sides))
        return Gap(arm, baseline, metric, seeds, 0, Summary({}, nothing, None, None, None), missing)
    pairs = tuple(
        one if one.status != "done" else other for one, other in zip(*sides, strict=True)
    )  # a seed is there where both of its cells are
    summary = summarise(family, family.contrast(*sides), pairs, reason=statuses(sides))
    items = min((len(ids) for ids in family.facts.items.values()), default=0)
    return Gap(arm, baseline, metric, seeds, items, summary, missing)


def statuses(sides: Sequence[Sequence[CellResult]]) -> str:
    """What keeps seeds from a gap: multi 1 failed; en 2 out-of-memory."""
    parts = []
    for side in sides:
        counts = Counter(one.status for one in side if one.status != "done")
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        parts += [f"{side[0].cell.intermediate}: {told}"] if told else []
    return "; ".join(parts)


def _missing(sides: Sequence[Sequence[CellResult]], facts: TargetFacts | None) -> str:
    """The first cell without a usable result, and why; how many more there are."""
    lacking = [one for side in sides for one in side if one.status != "done"]
    if lacking:
        first = lacking[0]
        told = f"{first.cell.label} {_status(first)}" + (f" ({plain(first.message)})" if first.message else "")
        more = len(lacking) - 1
        return told + (f", and {more} more {'cell' if more == 1 else 'cells'} without a result" if more else "")
    wanted = (facts.others or facts.languages) if facts else ()
    for side in sides:
        for one in side:
            absent = [name for name in wanted if one.scores is None or name not in one.scores.languages]
            if absent:
                return f"{one.cell.label} was not evaluated in {', '.join(absent)}"
    return ""


def _status(one: CellResult) -> str:
    verbs = {
        "missing": "is not there",
        "refused": "was refused",
        "blocked": "was blocked",
        "out-of-memory": "ran out of memory",
        "out-of-disk": "ran out of disk",
    }
    return verbs.get(one.status, one.status)
