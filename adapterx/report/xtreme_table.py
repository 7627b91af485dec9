"""XTREME's averages as a table, and for report.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from adapterx.limits import Limit
from adapterx.report.numbers import score, score_interval
from adapterx.report.statistics import Estimate, Missing, Quantity
from adapterx.report.table import DASH, Table, TableColumn, TableEntry, fold
from adapterx.report.xtreme import Arm, Averages, TaskScore
from adapterx.store import JSON
from adapterx.tasks.xtreme import GROUPS, TASKS


def table(rows: Sequence[Averages], limit: Limit | None) -> Table | None:
    """The rows as they are shown; None where there are none.

    Args:
        limit: which items of each language were evaluated, None for all.
    """
    if not rows:
        return None
    tasks = [name for name in TASKS if any(name in row.tasks for row in rows)]
    groups = [name for name in GROUPS if any(name in row.groups for row in rows)]
    columns = [TableColumn(title, label=True) for title in Arm._fields]
    columns += [TableColumn(TASKS[name].title, group="tasks", rule=not at) for at, name in enumerate(tasks)]
    columns += [TableColumn(name, group="averages of groups", rule=not at) for at, name in enumerate(groups)]
    columns.append(TableColumn("all nine tasks", rule=True))
    entries = [
        [
            *map(TableEntry, row.arm),
            *(_task_entry(row.tasks.get(name)) for name in tasks),
            *(_entry(row.groups[name]) if name in row.groups else TableEntry(DASH, tone="faint") for name in groups),
            _entry(row.overall),
        ]
        for row in rows
    ]
    kept, folded, constant = fold(columns, entries)
    notes = [
        "A task’s score is the unweighted mean over its languages, English included: accuracy (XNLI, PAWS-X, Tatoeba),"
        " F1 of spans (UDPOS, PAN-X) or of pairs (BUCC), (EM + F1) / 2 in question answering. Averages are unweighted"
        " means of tasks that have all languages in which XTREME scores them."
    ]
    if limit is not None:
        notes.append(f"Not all items were evaluated: of each language {limit.words}.")
    return Table("xtreme", f"XTREME’s scores, in per cent{constant}.", kept, folded, tuple(notes))


def export(rows: Sequence[Averages]) -> JSON:
    """The rows for report.json."""
    return [
        {
            **row.arm._asdict(),
            "tasks": {
                name: {"score": _json(one.quantity), "languages": one.languages, "of": one.wanted}
                for name, one in row.tasks.items()
            },
            "groups": {name: _json(one) for name, one in row.groups.items()},
            "overall": _json(row.overall),
        }
        for row in rows
    ]


def _task_entry(one: TaskScore | None) -> TableEntry:
    if one is None:
        return TableEntry(DASH, tone="faint")
    if isinstance(one.quantity, Estimate) and one.languages < one.wanted:
        part = f"{one.languages} of {one.wanted} languages"
        return TableEntry(score(one.quantity.value), f"({part})", note=score_interval(one.quantity), tone="faint")
    return _entry(one.quantity)


def _entry(quantity: Quantity) -> TableEntry:
    if isinstance(quantity, Missing):
        return TableEntry(quantity.count, note=quantity.why, tone="missing")
    return TableEntry(score(quantity.value), score_interval(quantity))


def _json(quantity: Quantity) -> JSON:
    if isinstance(quantity, Missing):
        return {"missing": str(quantity)}
    return {key: round(value, 6) + 0.0 for key, value in asdict(quantity).items()}
