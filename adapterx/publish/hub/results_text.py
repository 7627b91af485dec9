"""A card's scores in Markdown."""

from __future__ import annotations

from adapterx.publish.hub.facts import CellScores, Rival, ScoreRow
from adapterx.report.numbers import gap as gap_text
from adapterx.report.numbers import value, value_interval
from adapterx.report.statistics import Estimate
from adapterx.report.table import Table, TableColumn, TableEntry, markdown


def results_table(scores: CellScores) -> str:
    """Averages first, then every language, a column for each metric."""
    names = [row.name for row in (*scores.means, *scores.languages)]
    rows = {(row.name, row.metric): row for row in (*scores.means, *scores.languages)}
    columns = [TableColumn("language", label=True), *(TableColumn(one) for one in scores.metrics), TableColumn("items")]
    found = []
    for name in dict.fromkeys(names):
        own = [rows.get((name, metric)) for metric in scores.metrics]
        first = next(row for row in own if row is not None)
        told = name + (" (trained in)" if first.trained_in else "") + (f" ({first.constant})" if first.constant else "")
        found.append([told, *("–" if row is None else _score(row) for row in own), f"{first.items:,}"])
    return _markdown("scores", "Scores with 95% intervals.", columns, found)


def _score(row: ScoreRow) -> str:
    return f"{value(row.estimate.value, row.metric)} {value_interval(row.estimate, row.metric)}"


def seeds_line(scores: CellScores, chosen: str) -> str:
    """The averages of all seeds, and which one this is."""
    if len(scores.seeds) < 2:
        return ""
    each = ", ".join(f"seed {seed}: {value(found, scores.metric)}" for seed, found in scores.seeds)
    text = f"Seeds differ: {scores.metric} averages {each}."
    if isinstance(scores.over_seeds, Estimate):
        over = scores.over_seeds
        text += f" Over seeds it is {value(over.value, scores.metric)} {value_interval(over, scores.metric)}."
    return text + (f" This is {chosen}." if chosen else "")


def rivals_table(scores: CellScores) -> str:
    """Every setting with the same backbone and target, the best first."""
    columns = [
        *(TableColumn(title, label=True) for title in ("method", "intermediate", "transfer")),
        TableColumn(scores.metric),
    ]
    ordered = sorted(scores.rivals, key=lambda one: -_value(one))
    rows = []
    for one in ordered:
        place = one.setting
        bold = "**" if one.own else ""
        names = [f"{bold}{text}{bold}" for text in (place.method, place.intermediate, place.transfer)]
        score = one.score
        told = f"missing ({score})"
        if isinstance(score, Estimate):
            told = f"{value(score.value, scores.metric)} {value_interval(score, scores.metric)}"
        rows.append([*names, told])
    return _plain_markdown(columns, rows)


def _value(one: Rival) -> float:
    return one.score.value if isinstance(one.score, Estimate) else float("-inf")


def gap_lines(scores: CellScores) -> list[str]:
    """The run's own comparisons that this setting is a side of."""
    return [
        f"The run compares `{one.arm.intermediate}` with `{one.baseline.intermediate}`:"
        f" {gap_text(one.summary.headline, one.metric)} {one.metric}"
        for one in scores.gaps
    ]


def _markdown(name: str, caption: str, columns: list[TableColumn], rows: list[list[str]]) -> str:
    return markdown(Table(name, caption, tuple(columns), tuple(tuple(map(TableEntry, row)) for row in rows)))


def _plain_markdown(columns: list[TableColumn], rows: list[list[str]]) -> str:
    """A table whose entries are Markdown themselves: names of a recipe, which are plain."""
    head = "| " + " | ".join(one.title for one in columns) + " |"
    rule = "|" + "|".join("---" if one.label else "---:" for one in columns) + "|"
    return "\n".join([head, rule, *("| " + " | ".join(row) + " |" for row in rows)])
