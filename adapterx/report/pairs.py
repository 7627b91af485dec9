"""Differences of any two cells or arms of a run, paired by item and, where there are seeds on both sides, by seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product

from adapterx.errors import AdapterxError
from adapterx.report.analysis import Analysis
from adapterx.report.collect import CellResult, TargetFacts
from adapterx.report.gaps import statuses
from adapterx.report.scores import (
    MEAN,
    OTHERS,
    SOURCES,
    Grid,
    Setting,
    Summary,
    headline,
    is_share,
    setting,
    summarise,
)
from adapterx.report.statistics import Estimate, Measured, Missing, Quantity, Scored, difference_of_models

AXES = ("backbone", "method", "intermediate", "transfer")
"""Those along which two settings of a target may differ."""


class NothingToCompare(AdapterxError):
    """Names that lead to no pair; the message says why.

    Args:
        hint: what to do.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.hint = hint


@dataclass(frozen=True)
class PairedDifference:
    """The first side less the second."""

    first: str
    second: str
    target: str
    metric: str
    seeds: tuple[int, ...]
    """Empty where one training of each side is compared, of whatever seeds."""
    items: int
    """Per language; the fewest."""
    sides: tuple[Summary, Summary]
    difference: Summary


def paired_differences(analysis: Analysis, first: str, second: str) -> tuple[PairedDifference, ...]:
    """Every pair that two names come to, under each metric, the main one first.

    A name is a cell's, or the beginning of several; or that of a backbone, method, intermediate, transfer or target.
    Two single cells are compared as the trained models they are. Two arms are compared wherever they differ in nothing
    but what tells the names apart. Raises NothingToCompare.
    """
    grid = Grid(analysis.results)
    sides = [_selected(analysis.results.cells, name) for name in (first, second)]
    if all(len(side) == 1 for side in sides):
        return tuple(_of_cells(grid, sides[0][0], sides[1][0]))
    pairs = list(_pairs(grid, *({setting(one.cell) for one in side} for side in sides)))
    if not pairs:
        raise NothingToCompare(
            f"no cell of {first} has a counterpart in {second}",
            "both need cells of the same target and seed that differ in nothing else",
        )
    return tuple(_of_settings(grid, pairs))


def _selected(cells: Sequence[CellResult], name: str) -> list[CellResult]:
    exact = [one for one in cells if one.cell.label == name]
    of_axis = [one for one in cells if name in (*(getattr(one.cell, axis) for axis in AXES), one.cell.target)]
    beginning = [one for one in cells if one.cell.label.startswith(name)]
    found = exact or of_axis or beginning
    if not found:
        known = sorted({getattr(one.cell, axis) for one in cells for axis in AXES})
        raise NothingToCompare(f"nothing in this run is called '{name}'", f"names are {', '.join(known)}, or cells'")
    return found


def _pairs(grid: Grid, first: Collection[Setting], second: Collection[Setting]) -> Iterator[tuple[Setting, Setting]]:
    """Settings of both sides that differ only where the sides do."""
    apart = [
        axis for axis in AXES if not {getattr(one, axis) for one in first} & {getattr(one, axis) for one in second}
    ]
    for one, other in product(sorted(first, key=asdict_items), sorted(second, key=asdict_items)):
        same = [axis for axis in AXES if axis not in apart and not (axis == "transfer" and _untransferred(one, other))]
        alike = one.target == other.target and all(getattr(one, axis) == getattr(other, axis) for axis in same)
        if alike and one != other and grid.pair(one, other)[0]:
            yield one, other


def asdict_items(one: Setting) -> tuple[str, ...]:
    """An order of settings."""
    return tuple(asdict(one).values())


def _untransferred(one: Setting, other: Setting) -> bool:
    """Whether a side trains no intermediate, so that it has no transfer to agree in."""
    return "none" in (one.transfer, other.transfer)


def _of_settings(grid: Grid, pairs: Sequence[tuple[Setting, Setting]]) -> Iterator[PairedDifference]:
    for target, facts in grid.results.targets.items():
        here = [pair for pair in pairs if pair[0].target == target]
        for metric in facts.metrics if here else ():
            family = grid.family(facts, metric, here)
            for one, other in here:
                cells = grid.pair(one, other)
                found = [summarise(family, family.measured(side), side, share=is_share(metric)) for side in cells]
                shown = tuple(a if a.status != "done" else b for a, b in zip(*cells, strict=True))
                difference = summarise(family, family.contrast(*cells), shown, reason=statuses(cells))
                seeds = tuple(side.cell.seed for side in cells[0])
                names = _told_apart(one, other)
                yield PairedDifference(*names, target, metric, seeds, _items(facts), (found[0], found[1]), difference)


def _told_apart(one: Setting, other: Setting) -> tuple[str, str]:
    """Names of two settings, without their target."""
    names = [".".join(value for axis in AXES if (value := getattr(side, axis))) for side in (one, other)]
    return names[0], names[1]


def _of_cells(grid: Grid, one: CellResult, other: CellResult) -> Iterator[PairedDifference]:
    """Two trained models on the same items."""
    if one.cell.target != other.cell.target:
        raise NothingToCompare(
            f"{one.cell.label} and {other.cell.label} answer different items", "compare cells of one target"
        )
    for side in (one, other):
        if side.scores is None:
            raise NothingToCompare(f"{side.cell.label} has no scores: it is {side.status}", side.message or None)
    if one.cell == other.cell:
        raise NothingToCompare(f"{one.cell.label} cannot differ from itself")
    facts = grid.results.targets[one.cell.target]
    for metric in facts.metrics:
        family = grid.of(facts.name, metric)
        assert family is not None, "a scored target has a family of each metric"
        scored = [{name: family.scored(side, name) for name in family.names} for side in (one, other)]
        items = {name: family.items(name) for name in family.names}
        sides = [_alone(found, items, facts, share=is_share(metric)) for found in scored]
        apart = {name: first - second for name, first in scored[0].items() if first and (second := scored[1][name])}
        difference = _alone(apart, items, facts, family.answers if is_share(metric) else None)
        yield PairedDifference(
            one.cell.label, other.cell.label, facts.name, metric, (), _items(facts), (sides[0], sides[1]), difference
        )


def _alone(
    scores: Mapping[str, Scored | None],
    items: Mapping[str, int],
    facts: TargetFacts,
    answers: Callable[[str], int] | None = None,
    *,
    share: bool = False,
) -> Summary:
    """What is known of one training: the variance of its items, and none of training.

    Args:
        answers: of a difference of two shares, how many answers each is made of.
        share: whether the scores are shares.
    """
    found = {
        name: Measured(one.value, one.influence, items[name], 0.0, 0.0, 0.0) for name, one in scores.items() if one
    }
    if answers is not None:
        found = {name: difference_of_models(one, answers(name)) for name, one in found.items()}

    def quantity(name: str) -> Quantity:
        return found[name].estimate(share=share) if name in found else Missing(0, 1, "score")

    return Summary(
        languages={name: quantity(name) for name in facts.languages},
        mean=quantity(MEAN),
        sources=quantity(SOURCES) if facts.sources else None,
        others=quantity(OTHERS) if facts.others else None,
        measured=found.get(headline(facts)),
    )


def _items(facts: TargetFacts) -> int:
    return min((len(ids) for ids in facts.items.values()), default=0)


def sure(quantity: Quantity) -> bool:
    """Whether an interval leaves zero out."""
    return isinstance(quantity, Estimate) and quantity.sign != 0
