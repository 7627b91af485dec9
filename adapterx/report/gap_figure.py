"""The headline figure: the gap against backbone size, or against whichever axis the recipe compares by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from adapterx.plan.cells import Cell
from adapterx.report.analysis import Analysis
from adapterx.report.colours import INK, line
from adapterx.report.drawing import MARKERS, Figure, Key, plot
from adapterx.report.gaps import Gap
from adapterx.report.numbers import MINUS, count, metric_name, millions, unit_of_gaps
from adapterx.report.numbers import gap as written
from adapterx.report.statistics import Estimate
from adapterx.report.table import DASH, Table, TableColumn, TableEntry
from adapterx.report.wording import languages
from adapterx.tasks.metrics import unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Ruler:
    """The horizontal axis: where each name stands, and what is written there."""

    positions: Mapping[str, float]
    labels: Mapping[str, str]

    @property
    def width(self) -> float:
        """Distance from the first name to the last."""
        return max(self.positions.values()) - min(self.positions.values()) or 1.0


def gap_figure(analysis: Analysis) -> Figure | None:
    """One panel per target, one line per method and transfer; None without gaps at two places of the axis."""
    compare = analysis.results.run.compare
    drawn = _drawn(analysis)
    known = [one for gap in drawn if isinstance(one := gap.summary.headline, Estimate)]
    if compare is None or not known:
        return None
    arm, baseline, by = compare
    units, factor = unit_of_gaps(drawn[0].metric), unit(drawn[0].metric).factor
    panel_axis = "targets" if by != "targets" else "backbones"
    line_axes = [axis for axis in ("backbones", "methods", "transfers") if axis not in (by, panel_axis)]
    # A backbone that every cell was refused for has no known size.
    gaps = [gap for gap in drawn if gap.arm.backbone in analysis.results.run.backbones]
    lines = list(dict.fromkeys(_place(gap, *line_axes) for gap in gaps))
    ruler = _ruler(analysis, gaps, by)
    if len(ruler.positions) == 1:
        return None
    low, high = min(0.0, *(one.low for one in known)), max(0.0, *(one.high for one in known))
    air = 0.08 * (high - low) or 1 / factor
    panels: list[str] = []
    for number, (title,) in enumerate(dict.fromkeys(_place(gap, panel_axis) for gap in gaps)):
        with plot(f"gap{number}", title, f"Gap {arm} minus {baseline} on {title}, by {by}") as panel:
            _draw_axes(panel.axes, ruler)
            panel.axes.set_ylim(factor * (low - air), factor * (high + air))
            panel.axes.set_ylabel(f"{arm} − {baseline} ({units})")
            for index, key in enumerate(lines):
                of_line = [gap for gap in gaps if _place(gap, panel_axis, *line_axes) == (title, *key)]
                shift = (index - (len(lines) - 1) / 2) * 0.018 * ruler.width
                where = [ruler.positions[_place(gap, by)[0]] + shift for gap in of_line]
                _draw_line(panel.axes, where, of_line, index, joined=by == "backbones")
                for at, gap in zip(where, of_line, strict=True):
                    if isinstance(one := gap.summary.headline, Estimate):
                        panel.mark(at, factor * one.value, _told(analysis, gap), _first_cell(gap))
        panels.append(panel.svg)
    caption = _caption(analysis, arm, baseline, by)
    return Figure("gap", caption, tuple(panels), _keys(lines), _numbers(analysis, gaps))


def _told(analysis: Analysis, gap: Gap) -> str:
    """What a point tells of itself."""
    backbone = analysis.results.run.backbones[gap.arm.backbone]
    place = " · ".join((gap.arm.target, gap.arm.method, gap.transfer))
    return (
        f"{gap.arm.intermediate} − {gap.baseline.intermediate} with {backbone.name} ({millions(backbone.parameters)}):"
        f" {written(gap.summary.headline, gap.metric)} {unit_of_gaps(gap.metric)} of {metric_name(gap.metric)};"
        f" {place}; {count(len(gap.seeds), 'seed')}, {gap.items:,} items per language"
    )


def _first_cell(gap: Gap) -> str:
    """The arm's cell of the first seed."""
    return Cell(**asdict(gap.arm), seed=gap.seeds[0]).label if gap.seeds else ""


def _numbers(analysis: Analysis, gaps: Sequence[Gap]) -> Table:
    """What is drawn, a row for each point."""
    titles = ("target", "backbone", "method", "transfer")
    columns = [TableColumn(title, label=True) for title in titles]
    columns += [TableColumn(title) for title in ("parameters", "gap", "low", "high", "seeds", "items")]
    rows = []
    for gap in gaps:
        one, factor = gap.summary.headline, unit(gap.metric).factor
        values = (one.value, one.low, one.high) if isinstance(one, Estimate) else ()
        numbers = [f"{factor * value:+.3f}" for value in values] or [DASH] * 3
        size = f"{analysis.results.run.backbones[gap.arm.backbone].parameters:,}"
        labels = (gap.arm.target, gap.arm.backbone, gap.arm.method, gap.transfer)
        texts = (*labels, size, *(text.replace("-", MINUS) for text in numbers), f"{len(gap.seeds)}", f"{gap.items:,}")
        rows.append(tuple(TableEntry(text) for text in texts))
    return Table("gap-numbers", "The numbers of the figure.", tuple(columns), tuple(rows))


def _drawn(analysis: Analysis) -> list[Gap]:
    """The gaps of one figure: those in points where there are any, those in ranks where there are none."""
    by_unit = {
        units: [gap for gap in analysis.gaps if unit_of_gaps(gap.metric) == units] for units in ("points", "ranks")
    }
    scored = [of for of in by_unit.values() if any(isinstance(one.summary.headline, Estimate) for one in of)]
    return scored[0] if scored else []


def _caption(analysis: Analysis, arm: str, baseline: str, by: str) -> str:
    against = "encoder parameters without embeddings (logarithmic)" if by == "backbones" else by
    drawn = _drawn(analysis)
    absent = sum(not isinstance(gap.summary.headline, Estimate) for gap in drawn)
    other = len(analysis.gaps) - len(drawn)
    return (
        f"Gap {arm} − {baseline} against {against}, mean over {languages(analysis, drawn)}."
        " Bars are 95% intervals over items and, where there are several seeds, trainings."
        + (
            f" Not drawn: {count(absent, 'gap')} of {len(drawn)}, missing for the reasons in the tables."
            if absent
            else ""
        )
        + (f" {count(other, 'gap')} in another unit {'is' if other == 1 else 'are'} in the tables." if other else "")
    )


def _keys(lines: Sequence[tuple[str, ...]]) -> tuple[Key, ...]:
    """A legend that names only what varies; none for a single line."""
    if len(lines) == 1:
        return ()
    varying = [index for index in range(len(lines[0])) if len({key[index] for key in lines}) > 1]
    shapes = list(MARKERS)
    return tuple(
        Key(" · ".join(key[index] for index in varying), line(number), shapes[number % len(shapes)])
        for number, key in enumerate(lines)
    )


def _place(gap: Gap, *axes: str) -> tuple[str, ...]:
    arm = gap.arm
    where = {"backbones": arm.backbone, "methods": arm.method, "transfers": gap.transfer, "targets": arm.target}
    return tuple(where[axis] for axis in axes)


def _ruler(analysis: Analysis, gaps: Sequence[Gap], by: str) -> Ruler:
    names = [name for (name,) in dict.fromkeys(_place(gap, by) for gap in gaps)]
    if by != "backbones":
        return Ruler({name: float(index) for index, name in enumerate(names)}, {name: name for name in names})
    sizes = {name: analysis.results.run.backbones[name].parameters for name in names}
    return Ruler(
        {name: float(np.log10(size)) for name, size in sizes.items()},
        {name: f"{name}\n{millions(size)}" for name, size in sizes.items()},
    )


def _draw_axes(axes: Axes, ruler: Ruler) -> None:
    axes.axhline(0, color=INK, linewidth=0.6)
    ordered = sorted(ruler.positions.items(), key=lambda pair: pair[1])
    labels, before, lowered = [], float("-inf"), False
    for name, position in ordered:
        lowered = position - before < 0.25 * ruler.width and not lowered
        labels.append("\n\n" * lowered + ruler.labels[name])
        before = position
    axes.set_xticks([position for _, position in ordered], labels)
    axes.set_xlim(ordered[0][1] - 0.18 * ruler.width, ordered[-1][1] + 0.18 * ruler.width)


def _draw_line(axes: Axes, where: Sequence[float], gaps: Sequence[Gap], index: int, *, joined: bool) -> None:
    """Points with intervals; a missing one interrupts the line."""
    rows = []
    for at, gap in sorted(zip(where, gaps, strict=True), key=lambda pair: pair[0]):
        one = gap.summary.headline
        rows.append([at, *((one.value, one.low, one.high) if isinstance(one, Estimate) else [np.nan] * 3)])
    if not rows:
        return
    place, value, low, high = np.array(rows).T
    factor = unit(gaps[0].metric).factor
    axes.errorbar(
        place,
        factor * value,
        yerr=factor * np.maximum([value - low, high - value], 0),
        color=line(index),
        marker=list(MARKERS.values())[index % len(MARKERS)],
        markersize=4.5,
        linewidth=1.2 if joined else 0,
        elinewidth=0.9,
        capsize=2.5,
        capthick=0.9,
    )
