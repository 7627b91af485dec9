"""The short result table that a run prints at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapterx.report import numbers, tables
from adapterx.report.analysis import Analysis
from adapterx.report.answer import answer
from adapterx.report.gaps import Gap
from adapterx.report.learning import Judgement
from adapterx.report.run import Run
from adapterx.report.scores import Score
from adapterx.report.statistics import Estimate, Quantity
from adapterx.report.table import DASH, TableColumn, TableEntry, fold
from adapterx.wording import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

REMARKS = 8
"""Lines that a terminal is told; the report has all."""
STYLES = {"missing": "yellow", "faint": "dim", "strong": "bold", "": ""}


def summary(analysis: Analysis) -> RenderableType:
    """One row per setting: score in the source language, mean over the others, gap, statuses; then the answer.

    Scores are those of the target's main metric, in its unit.
    """
    from rich.console import Group
    from rich.text import Text

    from adapterx import terminal

    gaps = {gap.arm: gap for gap in analysis.gaps}
    columns = [TableColumn(title, label=True) for title in ("backbone", "method", "intermediate", "transfer", "target")]
    columns += [TableColumn("source"), TableColumn("others")]
    compare = analysis.results.run.compare
    if compare is not None:
        columns.append(TableColumn(f"gap {compare[0]} − {compare[1]}"))
    columns.append(TableColumn("cells"))
    run = analysis.results.run
    rows = [
        _row(one, gaps.get(one.setting), run, analysis.judged(one.setting), compared=compare is not None)
        for one in _main(analysis)
    ]
    kept, entries, constant = fold(columns, rows)
    laid_out = [
        terminal.Column(one.title, right=not one.label, folds=one.label or one.title == "cells", names=one.label)
        for one in kept
    ]
    texts = [[Text(f"{entry.text} {entry.interval}".strip(), STYLES[entry.tone]) for entry in row] for row in entries]
    table = terminal.TextGrid(laid_out, texts, rule=True)
    above = [Text(constant.strip().strip("()"), style="dim")] if constant else []
    remarks = [Text(one, "yellow") for one in _remarks(analysis)]
    return Group(*above, table, Text(), *_unfinished(analysis), Text(answer(analysis)), *remarks)


def _remarks(analysis: Analysis) -> list[str]:
    """What to know before trusting a score, as far as a screen has room for it."""
    lines = [plain(str(one), longest=None) for one in analysis.remarks[:REMARKS]]
    if (left := len(analysis.remarks) - REMARKS) > 0:
        lines.append(f"and {numbers.count(left, 'more remark')} in the report")
    return lines


def _unfinished(analysis: Analysis) -> list[Text]:
    """How the cells ended, where some are not done: each status with its count, refused ones apart from failed ones."""
    from rich.text import Text

    statuses = Counter(cell.status for cell in analysis.results.cells)
    if set(statuses) <= {"done"}:
        return []
    told = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    return [Text(f"{numbers.count(len(analysis.results.cells), 'cell')}: {told}", style="yellow")]


def _main(analysis: Analysis) -> list[Score]:
    """Scores on each target's main metric."""
    main = {name: facts.metrics[0] for name, facts in analysis.results.targets.items()}
    return [one for one in analysis.scores if one.metric == main.get(one.setting.target, "")]


def _score(quantity: Quantity | None, metric: str) -> TableEntry:
    if quantity is None:
        return TableEntry(DASH, tone="faint")
    if isinstance(quantity, Estimate):
        return TableEntry(numbers.value(quantity.value, metric))
    return TableEntry(DASH, tone="missing")


def _gap(gap: Gap | None) -> TableEntry:
    if gap is None:
        return TableEntry("")
    headline = gap.summary.headline
    if isinstance(headline, Estimate):
        return TableEntry(numbers.gap(headline, gap.metric), tone="strong" if headline.sign else "")
    return TableEntry(headline.count, tone="missing")


def _row(one: Score, gap: Gap | None, run: Run, judged: Sequence[Judgement], *, compared: bool) -> list[TableEntry]:
    place = one.setting
    named = run.labelled(place.intermediate, place.target)
    labels = (place.backbone, place.method, named, place.transfer, place.target)
    row = [TableEntry(label) for label in labels]
    row += [_score(quantity, one.metric) for quantity in (one.summary.sources, one.summary.others)]
    if compared:
        row.append(_gap(gap))
    status = tables.statuses(one, judged)
    return [*row, TableEntry(status, tone="" if set(one.statuses) == {"done"} and "(" not in status else "missing")]
