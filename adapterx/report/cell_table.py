"""Every cell in one row, from which a page leads to all that is stored of it."""

from __future__ import annotations

from adapterx.report import numbers
from adapterx.report.analysis import Analysis
from adapterx.report.collect import CellResult
from adapterx.report.scores import CellScore
from adapterx.report.table import DASH, Table, TableColumn, TableEntry, fold
from adapterx.results.provenance import MeasuredCost
from adapterx.results.run_file import StageRef

LABELS = ("backbone", "method", "intermediate", "transfer", "target", "seed", "status")


def cell_table(analysis: Analysis) -> Table:
    """Scores of every cell on its main metric, and what its own stages took."""
    means = _means(analysis)
    stages = {one.cell: tuple(ref for ref in (one.target, one.evaluation) if ref) for one in analysis.results.run.cells}
    columns = [TableColumn(title, label=True) for title in LABELS]
    columns += [
        TableColumn("metric", label=True),
        TableColumn("source", rule=True, note="mean over the languages that the target was trained in"),
        TableColumn("others", note="mean over the languages that it was not trained in"),
        TableColumn("trained", rule=True, note="trained parameters"),
        TableColumn("seconds", note="of its own target training and evaluation; an intermediate is shared"),
    ]
    rows = [_row(analysis, one, means, stages[one.cell]) for one in analysis.results.cells]
    kept, entries, constant = fold(columns, rows)
    caption = f"All cells{constant}. A row opens its recipe, learning curve, confusions and answers."
    opens = tuple(one.cell.label for one in analysis.results.cells)
    return Table("cells", caption, kept, entries, opens=opens)


def _row(
    analysis: Analysis,
    one: CellResult,
    means: dict[str, tuple[str, float | None, float | None]],
    stages: tuple[StageRef, ...],
) -> list[TableEntry]:
    cell = one.cell
    named = analysis.results.run.labelled(cell.intermediate, cell.target)
    metric, source, others = means.get(cell.label, ("", None, None))
    labels = [cell.backbone, cell.method, named, cell.transfer, cell.target, str(cell.seed)]
    scores = [DASH if value is None else numbers.value(value, metric) for value in (source, others)]
    costs = [MeasuredCost.of(record) for ref in stages if (record := analysis.results.stages.get(ref))]
    trained = next((cost.trained_parameters for cost in costs if cost.trained_parameters is not None), None)
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    told = [DASH if trained is None else f"{trained:,.0f}", f"{sum(seconds):,.1f}" if seconds else DASH]
    status = TableEntry(one.status, note=one.message, tone="" if one.status == "done" else "missing")
    return [
        *map(TableEntry, labels),
        status,
        TableEntry(numbers.metric_name(metric) if metric else DASH),
        *map(TableEntry, (*scores, *told)),
    ]


def _means(analysis: Analysis) -> dict[str, tuple[str, float | None, float | None]]:
    """By cell its main metric, and the means over training and over other languages."""
    found: dict[str, list[CellScore]] = {}
    for score in analysis.cells:
        cell = score.result.cell
        if score.metric == analysis.results.targets[cell.target].metrics[0]:
            found.setdefault(cell.label, []).append(score)
    means = {}
    for label, scores in found.items():
        sources = analysis.results.targets[scores[0].result.cell.target].sources
        parts = [[one.estimate.value for one in scores if (one.language in sources) == own] for own in (True, False)]
        source, others = (sum(values) / len(values) if values else None for values in parts)
        means[label] = (scores[0].metric, source, others)
    return means
