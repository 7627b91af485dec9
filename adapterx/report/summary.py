"""The short result table that a run prints at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapterx.report import numbers, tables
from adapterx.report.analysis import Analysis
from adapterx.report.answer import answer
from adapterx.report.gaps import Gap
from adapterx.report.run import Run
from adapterx.report.scores import Score
from adapterx.report.statistics import Estimate, Quantity
from adapterx.report.table import DASH, Column, Entry, fold

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {"missing": "yellow", "faint": "dim", "strong": "bold", "": ""}


def summary(analysis: Analysis) -> RenderableType:
    """One row per setting: score in the source language, mean over the others, gap, statuses; then the answer.

    Scores are those of the target's main metric, in its unit.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    gaps = {gap.arm: gap for gap in analysis.gaps}
    columns = [Column(title, label=True) for title in ("backbone", "method", "intermediate", "transfer", "target")]
    columns += [Column("source"), Column("others")]
    compare = analysis.results.run.compare
    if compare is not None:
        columns.append(Column(f"gap {compare[0]} − {compare[1]}"))
    columns.append(Column("cells"))
    run = analysis.results.run
    rows = [_row(one, gaps.get(one.setting), run, compared=compare is not None) for one in _main(analysis)]
    kept, entries, _ = fold(columns, rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in kept:
        table.add_column(column.title, justify="left" if column.label else "right", no_wrap=not column.label)
    for row in entries:
        table.add_row(*(Text(f"{entry.text} {entry.interval}".strip(), STYLES[entry.tone]) for entry in row))
    return Group(table, Text(answer(analysis)))


def _main(analysis: Analysis) -> list[Score]:
    """Scores on each target's main metric."""
    main = {name: facts.metrics[0] for name, facts in analysis.results.targets.items()}
    return [one for one in analysis.scores if one.metric == main.get(one.setting.target, "")]


def _score(quantity: Quantity | None, metric: str) -> Entry:
    if quantity is None:
        return Entry(DASH, tone="faint")
    if isinstance(quantity, Estimate):
        return Entry(numbers.value(quantity.value, metric))
    return Entry(DASH, tone="missing")


def _gap(gap: Gap | None) -> Entry:
    if gap is None:
        return Entry("")
    headline = gap.summary.headline
    if isinstance(headline, Estimate):
        return Entry(numbers.gap(headline, gap.metric), tone="strong" if headline.sign else "")
    return Entry(headline.count, tone="missing")


def _row(one: Score, gap: Gap | None, run: Run, *, compared: bool) -> list[Entry]:
    place = one.setting
    named = run.labelled(place.intermediate, place.target)
    labels = (place.backbone, place.method, named, place.transfer, place.target)
    row = [Entry(label) for label in labels]
    row += [_score(quantity, one.metric) for quantity in (one.summary.sources, one.summary.others)]
    if compared:
        row.append(_gap(gap))
    status = tables.statuses(one)
    return [*row, Entry(status, tone="" if set(one.statuses) == {"done"} else "missing")]
