"""What scores cost: every setting's score against its trained parameters and its seconds, with the Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from adapterx.report.analysis import Analysis
from adapterx.report.colours import INK, line
from adapterx.report.costs import Efficiency, per_target
from adapterx.report.drawing import MARKERS, Figure, Key, plot
from adapterx.report.numbers import metric_name, value, value_interval
from adapterx.report.table import Table, TableColumn, TableEntry
from adapterx.tasks.metrics import unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Looks = Mapping[tuple[str, str], tuple[str, str]]
"""Colour and marker by backbone and method: backbones have colours, methods have shapes."""
MUCH = 3
"""Times the smallest price, from which on prices are drawn logarithmically."""
Price = Callable[[Efficiency], float]
PRICES: tuple[tuple[str, Price, Callable[[Efficiency], bool]], ...] = (
    ("trained parameters", lambda one: one.trained_parameters, lambda one: one.small),
    ("seconds a seed", lambda one: one.seconds, lambda one: one.fast),
)
"""What a score is bought with, and whether no other setting has as good a one for less."""


def efficiency_figures(analysis: Analysis) -> list[Figure]:
    """A figure per target with a panel per price; none for a target with fewer than two settings."""
    if analysis.evidence is None:
        return []
    cells = [one.cell for one in analysis.results.run.cells]
    backbones = dict.fromkeys(one.backbone for one in cells)
    methods = dict.fromkeys(one.method for one in cells)
    looks = {
        (backbone, method): (line(at), list(MARKERS)[place % len(MARKERS)])
        for at, backbone in enumerate(backbones)
        for place, method in enumerate(methods)
    }
    by_target = per_target(analysis.evidence.efficiencies)
    return [_figure(target, found, looks) for target, found in by_target.items() if len(found) > 1]


def _figure(target: str, found: Sequence[Efficiency], looks: Looks) -> Figure:
    metric, factor = metric_name(found[0].metric), unit(found[0].metric).factor
    panels: list[str] = []
    for title, price, on_front in PRICES:
        with plot(f"price-{target}-{len(panels)}", title, f"{metric} on {target} against {title}") as panel:
            for one in found:
                colour, marker = looks[one.setting.backbone, one.setting.method]
                _point(panel.axes, price(one), one, factor, colour, MARKERS[marker])
                panel.mark(price(one), factor * one.score.value, _told(one))
            front = sorted((price(one), factor * one.score.value) for one in found if on_front(one))
            panel.axes.plot(*zip(*front, strict=True), color=INK, linewidth=0.8, linestyle=(0, (1.0, 1.5)))
            _scale(panel.axes, [price(one) for one in found])
            panel.axes.set_xlabel(title)
            panel.axes.set_ylabel(metric)
        panels.append(panel.svg)
    drawn = {(one.setting.backbone, one.setting.method) for one in found}
    keys = tuple(Key(" · ".join(place), *look) for place, look in looks.items() if place in drawn)
    caption = (
        f"{metric[0].upper()}{metric[1:]} on {target} against what it costs, a point per setting with its 95% interval."
        " Dotted: the Pareto front, where no other setting has as good a score for less."
    )
    return Figure(f"price-{target}", caption, tuple(panels), keys, _numbers(target, found))


def _scale(axes: Axes, prices: Sequence[float]) -> None:
    """Logarithmic where prices differ much, with numbers that are read at once."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    if max(prices) > MUCH * min(prices) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _point(axes: Axes, price: float, one: Efficiency, factor: float, colour: str, marker: str) -> None:
    score = one.score
    reach = [[max(0.0, factor * (score.value - score.low))], [max(0.0, factor * (score.high - score.value))]]
    axes.errorbar([price], [factor * score.value], yerr=reach, color=colour, marker=marker, markersize=4, linewidth=0.7)


def _told(one: Efficiency) -> str:
    """What a point tells of itself."""
    of = one.setting
    return (
        f"{of.backbone} · {of.method} · {of.intermediate} · {of.transfer}: {value(one.score.value, one.metric)}"
        f" {value_interval(one.score, one.metric)} {metric_name(one.metric)};"
        f" {one.trained_parameters:,.0f} trained parameters, {one.seconds:,.1f} seconds a seed"
    )


def _numbers(target: str, found: Sequence[Efficiency]) -> Table:
    """What is drawn, a row for each point."""
    titles = ("backbone", "method", "intermediate", "transfer")
    columns = [TableColumn(title, label=True) for title in titles]
    columns += [TableColumn(title) for title in ("score", "low", "high", *(title for title, _, _ in PRICES))]
    rows = []
    for one in found:
        scores = [value(number, one.metric) for number in (one.score.value, one.score.low, one.score.high)]
        texts = [getattr(one.setting, title) for title in titles]
        texts += [*scores, f"{one.trained_parameters:,.0f}", f"{one.seconds:,.1f}"]
        rows.append(tuple(map(TableEntry, texts)))
    return Table(f"price-{target}-numbers", "The numbers of the figure.", tuple(columns), tuple(rows))
