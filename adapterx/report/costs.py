"""What cells took, and what a score costs: seconds, memory, trained parameters, bytes; which settings nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapterx.plan.cells import Cell
from adapterx.report.collect import Results
from adapterx.report.scores import Score, Setting
from adapterx.report.statistics import Estimate
from adapterx.results.provenance import MeasuredCost
from adapterx.results.run_file import PlannedCell
from adapterx.tasks.metrics import unit


@dataclass(frozen=True)
class CellCost:
    """One cell, its intermediate included."""

    cell: Cell
    seconds: float
    """Its stages' shares of the time of their bundles."""
    peak_memory_bytes: float | None
    trained_parameters: float | None
    """Of its target's training, or of what was trained last."""
    bytes: int
    """Of its stages in the store."""


@dataclass(frozen=True)
class GridCost:
    """The whole grid."""

    seconds: float
    """Every stage once."""
    one_by_one: float
    """At least: what a loop over the cells takes that makes every cell's stages anew, at the pace of the bundles."""
    peak_memory_bytes: float | None
    bytes: int
    cells: tuple[CellCost, ...]


@dataclass(frozen=True)
class Efficiency:
    """A setting's score beside what it costs."""

    setting: Setting
    metric: str
    score: Estimate
    trained_parameters: float
    seconds: float
    """Of one seed."""
    small: bool
    """Whether no setting of the target has at least its score with fewer trained parameters, or more with as many."""
    fast: bool
    """The same of seconds."""


def cost(results: Results) -> GridCost:
    """What a run's stored stages took; cells without any stored stage cost nothing."""
    cells = tuple(_cell(results, planned) for planned in results.run.cells)
    records = results.stages.values()
    peaks = [peak for record in records if (peak := MeasuredCost.of(record).peak_memory_bytes) is not None]
    return GridCost(
        seconds=sum(MeasuredCost.of(record).seconds or 0.0 for record in records),
        one_by_one=sum(one.seconds for one in cells),
        peak_memory_bytes=max(peaks, default=None),
        bytes=sum(file.bytes for record in records for file in record.files.values()),
        cells=cells,
    )


def _cell(results: Results, planned: PlannedCell) -> CellCost:
    records = [results.stages[ref] for ref in planned.stages if ref in results.stages]
    costs = [MeasuredCost.of(record) for record in records]
    trained = [one.trained_parameters for one in costs if one.trained_parameters is not None]
    return CellCost(
        planned.cell,
        sum(one.seconds or 0.0 for one in costs),
        max((one.peak_memory_bytes for one in costs if one.peak_memory_bytes is not None), default=None),
        trained[-1] if trained else None,
        sum(file.bytes for record in records for file in record.files.values()),
    )


def efficiencies(scores: Sequence[Score], costs: GridCost) -> tuple[Efficiency, ...]:
    """Every setting that has a score on its target's main metric (the first of its scores) and trained anything."""
    by_setting: dict[Setting, list[CellCost]] = {}
    for one in costs.cells:
        place = Setting(one.cell.backbone, one.cell.method, one.cell.intermediate, one.cell.transfer, one.cell.target)
        by_setting.setdefault(place, []).append(one)
    main: dict[Setting, Score] = {}
    for score in scores:
        main.setdefault(score.setting, score)
    found: dict[str, list[Efficiency]] = {}
    for place, score in main.items():
        headline, of = score.summary.headline, by_setting.get(place, [])
        trained = [one.trained_parameters for one in of if one.trained_parameters]
        if isinstance(headline, Estimate) and trained:
            seconds = sum(one.seconds for one in of) / len(of)
            made = Efficiency(place, score.metric, headline, max(trained), seconds, False, False)
            found.setdefault(place.target, []).append(made)
    return tuple(one for of in found.values() for one in _fronts(of))


def _fronts(of: Sequence[Efficiency]) -> list[Efficiency]:
    sign = 1 if unit(of[0].metric).better == "higher" else -1
    points = [(sign * one.score.value, one.trained_parameters, one.seconds) for one in of]
    return [
        Efficiency(
            one.setting,
            one.metric,
            one.score,
            one.trained_parameters,
            one.seconds,
            small=_unbeaten((own[0], own[1]), [(other[0], other[1]) for other in points]),
            fast=_unbeaten((own[0], own[2]), [(other[0], other[2]) for other in points]),
        )
        for one, own in zip(of, points, strict=True)
    ]


def _unbeaten(own: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether no other has as much at as little, and more or at less."""
    return not any(score >= own[0] and price <= own[1] and (score, price) != own for score, price in others)


def per_target(found: Sequence[Efficiency]) -> Mapping[str, list[Efficiency]]:
    """By target, the cheapest in parameters first."""
    by_target: dict[str, list[Efficiency]] = {}
    for one in sorted(found, key=lambda one: (one.trained_parameters, -one.score.value)):
        by_target.setdefault(one.setting.target, []).append(one)
    return by_target
