"""Training curves: loss and dev score by step for every training of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapterx.report.analysis import Analysis
from adapterx.report.collect import Curve
from adapterx.report.colours import line
from adapterx.report.drawing import Figure, Key, plot
from adapterx.report.statistics import Array
from adapterx.report.table import Table, TableColumn, TableEntry
from adapterx.results.run_file import PlannedCell, StageRef

DOTS = (1.0, 1.5)
"""Lengths of strokes and gaps where nothing was transferred."""
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (4.0, 1.5),
    (6.0, 1.5, 1.0, 1.5),
    (2.0, 1.0),
    (8.0, 2.0),
    (4.0, 1.0, 1.0, 1.0),
)
"""Those of the transfers of a run, in its order, over and over; solid when empty."""
BLOCKS = 60
"""Points per curve: means over this many blocks of steps."""
TENTHS = range(10, 101, 10)

Trainings = dict[StageRef, PlannedCell]
Curves = Mapping[StageRef, tuple[Array, Array]]
"""Steps and values."""


@dataclass(frozen=True)
class Curved:
    """What a curve is of."""

    name: str
    """At the start of a figure's name."""
    axis: str
    title: str
    """In words, at the start of captions."""
    detail: str
    from_zero: bool


LOSS = Curved("loss", "loss", "Training loss", "means over blocks of steps", from_zero=True)
DEV = Curved("dev", "dev score", "Score on dev data of the training languages", "where it was taken", from_zero=False)


def curve_figures(analysis: Analysis) -> list[Figure]:
    """Of losses, and of dev scores where there are any: a figure for the intermediates and one per target, with a panel
    per backbone and method.
    """
    targets = dict.fromkeys(one.cell.target for one in analysis.results.run.cells)
    losses = {ref: smooth(curve) for ref, curve in analysis.results.curves.items() if curve}
    scores = {ref: _columns(curve) for ref, curve in analysis.results.dev_scores.items() if curve}
    found = [
        _figure(analysis, target, of, curves)
        for of, curves in ((LOSS, losses), (DEV, scores))
        for target in (None, *targets)
    ]
    return [figure for figure in found if figure is not None]


def _figure(analysis: Analysis, target: str | None, of: Curved, curves: Curves) -> Figure | None:
    cells = analysis.results.run.cells
    trainings = _trainings(analysis, target, curves)
    if not trainings:
        return None
    name = "intermediate" if target is None else target
    names = dict.fromkeys(
        [*(one.cell.intermediate for one in cells), *(_learnt(*pair, None) for pair in trainings.items())]
    )
    ways = [way for way in dict.fromkeys(one.cell.transfer for one in cells) if way != "none"]
    dashes = {"none": DOTS, "": (), **{way: DASHES[at % len(DASHES)] for at, way in enumerate(ways)}}
    colours = {intermediate: line(index) for index, intermediate in enumerate(names)}
    low, high = (end([end(curves[ref][1]) for ref in trainings]) for end in (np.min, np.max))
    air = 0.05 * (high - low) or 0.05
    methods = {one.cell.method for one in cells}
    panels: list[str] = []
    for backbone, method in dict.fromkeys((one.cell.backbone, one.cell.method) for one in trainings.values()):
        title = f"{backbone} · {method}" if len(methods) > 1 else backbone
        with plot(f"{of.name}-{name}-{len(panels)}", title, f"{of.title} of {name} with {title}") as panel:
            for ref, one in trainings.items():
                if (one.cell.backbone, one.cell.method) == (backbone, method):
                    colour, dash = colours[_learnt(ref, one, target)], dashes[_way(one, target)]
                    style = (0, dash) if dash else "solid"
                    panel.axes.plot(*curves[ref], color=colour, linestyle=style, linewidth=0.9, alpha=0.85)
                    panel.mark(curves[ref][0][-1], curves[ref][1][-1], _told(ref, of, curves[ref][1]), one.cell.label)
            panel.axes.set_ylim(*((0, 1.05 * high) if of.from_zero else (low - air, high + air)))
            panel.axes.set_xlabel("step")
            panel.axes.set_ylabel(of.axis)
        panels.append(panel.svg)
    pairs = dict.fromkeys((_learnt(ref, one, target), _way(one, target)) for ref, one in trainings.items())
    keys = tuple(_key(learnt, way, colours[learnt], dashes[way]) for learnt, way in pairs)
    what = "the intermediates" if target is None else target
    caption = f"{of.title} of {what}, one line per seed; {of.detail}."
    return Figure(f"{of.name}-{name}", caption, tuple(panels), keys, _numbers(name, of, trainings, curves))


def _told(ref: StageRef, of: Curved, values: Array) -> str:
    best = f"{values.min():.3f} at its lowest" if of.from_zero else f"{values.max():.3f} at its highest"
    return f"{ref.label}: {of.axis} {values[-1]:.3f} at the end, {best}"


def _numbers(name: str, of: Curved, trainings: Trainings, curves: Curves) -> Table:
    """The values of every training after each tenth of its steps."""
    columns = (TableColumn("training", label=True), TableColumn("steps"), *(TableColumn(f"{ten} %") for ten in TENTHS))
    rows = []
    for ref in trainings:
        steps, values = curves[ref]
        at = np.interp([steps[-1] * ten / 100 for ten in TENTHS], steps, values)
        rows.append(tuple(map(TableEntry, (ref.label, f"{steps[-1]:,.0f}", *(f"{one:.3f}" for one in at)))))
    opens = tuple(one.cell.label for one in trainings.values())
    caption = f"{of.axis.capitalize()} after each tenth of the steps."
    return Table(f"{of.name}-{name}-numbers", caption, columns, tuple(rows), opens=opens)


def _trainings(analysis: Analysis, target: str | None, curves: Mapping[StageRef, object]) -> Trainings:
    """The target's trainings (the intermediates' for None) that have a curve, each with the first cell it serves."""
    found: Trainings = {}
    for one in analysis.results.run.cells:
        for ref in one.stages:
            wanted = ref.kind == "intermediate" if target is None else ref.kind == "target"
            if wanted and target in (None, one.cell.target) and ref in curves:
                found.setdefault(ref, one)
    return found


def _way(one: PlannedCell, target: str | None) -> str:
    """The transfer, which matters in target trainings only."""
    return "" if target is None else one.cell.transfer


def _learnt(ref: StageRef, one: PlannedCell, target: str | None) -> str:
    """The cell's intermediate; of an intermediate training its own name, which a member's cells do not bear."""
    return ref.label.split(".")[2] if target is None and ref.kind == "intermediate" else one.cell.intermediate


def _key(learnt: str, way: str, colour: str, dash: Sequence[float]) -> Key:
    label = learnt if way in ("", "none") else f"{learnt} · {way}"
    return Key(label, colour, dash=" ".join(str(2 * length) for length in dash))


def smooth(curve: Curve) -> tuple[Array, Array]:
    """Steps and losses as means over at most BLOCKS blocks."""
    steps, losses = _columns(curve)
    blocks = min(BLOCKS, len(curve))
    means = [[block.mean() for block in np.array_split(values, blocks)] for values in (steps, losses)]
    return np.array(means[0]), np.array(means[1])


def _columns(curve: Curve) -> tuple[Array, Array]:
    points = np.array(curve, dtype=np.float64)
    return points[:, 0], points[:, 1]
