"""XTREME's averages: of each setting its score in the benchmark's tasks, in its groups and overall.

A task's score is the unweighted mean over all languages that XTREME scores it in, English included; the overall score
is the unweighted mean of the nine tasks. A task in fewer languages is told as such and enters no average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from adapterx.report.collect import TargetFacts
from adapterx.report.scores import ByLanguage, Grid, Setting, summarise, why
from adapterx.report.statistics import Drawn, Estimate, Missing, Quantity, average
from adapterx.report.table import DASH, Column, Entry, Table, fold
from adapterx.report.wording import score, score_interval
from adapterx.store import JSON
from adapterx.tasks.xtreme import GROUPS, TASKS, Task

LABELS = ("backbone", "method", "intermediate", "transfer")


class Arm(NamedTuple):
    """A setting without its target."""

    backbone: str
    method: str
    intermediate: str
    transfer: str


@dataclass(frozen=True)
class TaskScore:
    """A setting's score in one task, over the languages that were evaluated."""

    quantity: Quantity
    languages: int
    """Of those that XTREME scores the task in."""
    wanted: int
    drawn: Drawn | None
    """None unless the score may enter averages."""


@dataclass(frozen=True)
class Averages:
    """One row."""

    arm: Arm
    tasks: Mapping[str, TaskScore]
    """By name in the catalog, those that the run has."""
    groups: Mapping[str, Quantity]
    """Those all of whose tasks are whole."""
    overall: Quantity


def averages(grid: Grid) -> tuple[Averages, ...]:
    """One row per backbone, method, intermediate and transfer that has a target of XTREME's; none without any."""
    found: dict[Arm, list[Setting]] = {}
    for setting in grid.settings:
        facts = grid.results.targets.get(setting.target)
        if facts is not None and facts.task in TASKS:
            arm = Arm(setting.backbone, setting.method, setting.intermediate, setting.transfer)
            found.setdefault(arm, []).append(setting)
    return tuple(_averages(grid, arm, settings) for arm, settings in found.items())


def table(rows: Sequence[Averages], limit: object) -> Table | None:
    """The rows as they are shown; None where there are none.

    Args:
        limit: how many items of each language were evaluated, None for all.
    """
    if not rows:
        return None
    tasks = [name for name in TASKS if any(name in row.tasks for row in rows)]
    groups = [name for name in GROUPS if any(name in row.groups for row in rows)]
    columns = [Column(title, label=True) for title in LABELS]
    columns += [Column(TASKS[name].title, group="tasks", rule=not at) for at, name in enumerate(tasks)]
    columns += [Column(name, group="averages of groups", rule=not at) for at, name in enumerate(groups)]
    columns.append(Column("all nine tasks", rule=True))
    entries = [
        [
            *map(Entry, row.arm),
            *(_task_entry(row.tasks.get(name)) for name in tasks),
            *(_entry(row.groups[name]) if name in row.groups else Entry(DASH, tone="faint") for name in groups),
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
        notes.append(f"Only the first {limit:,} items of each language were evaluated.")
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


def _averages(grid: Grid, arm: Arm, settings: Sequence[Setting]) -> Averages:
    tasks: dict[str, TaskScore] = {}
    for setting in settings:
        facts = grid.results.targets[setting.target]
        tasks[facts.task] = _task(grid, setting, facts, TASKS[facts.task], again=facts.task in tasks)
    whole = {name: one.drawn for name, one in tasks.items() if one.drawn is not None}
    groups: dict[str, Quantity] = {
        group: average([whole[name] for name in names]).estimate()
        for group, names in GROUPS.items()
        if all(name in whole for name in names)
    }
    overall: Quantity = Missing(len(whole), len(TASKS), "task")
    if len(whole) == len(TASKS):
        overall = average(list(whole.values())).estimate()
    return Averages(arm, {name: tasks[name] for name in TASKS if name in tasks}, groups, overall)


def _task(grid: Grid, setting: Setting, facts: TargetFacts, task: Task, *, again: bool) -> TaskScore:
    cells = grid.settings[setting]
    present = tuple(name for name in task.languages if name in facts.languages)
    if again:
        two = Missing(1, 2, "target", "several targets of the run are this task")
        return TaskScore(two, len(present), len(task.languages), None)
    parts: list[ByLanguage | None] = [grid.drawn(result, task.metric) for result in cells]
    of_task = replace(facts, languages=present, sources=())
    found = summarise(of_task, parts, grid.weights(setting, len(cells)), why(cells))
    whole = len(present) == len(task.languages) and isinstance(found.mean, Estimate)
    return TaskScore(found.mean, len(present), len(task.languages), found.drawn if whole else None)


def _task_entry(one: TaskScore | None) -> Entry:
    if one is None:
        return Entry(DASH, tone="faint")
    if isinstance(one.quantity, Estimate) and one.languages < one.wanted:
        part = f"{one.languages} of {one.wanted} languages"
        return Entry(score(one.quantity.value), f"({part})", note=score_interval(one.quantity), tone="faint")
    return _entry(one.quantity)


def _entry(quantity: Quantity) -> Entry:
    if isinstance(quantity, Missing):
        return Entry(quantity.count, note=quantity.why, tone="missing")
    return Entry(score(quantity.value), score_interval(quantity))


def _json(quantity: Quantity) -> JSON:
    if isinstance(quantity, Missing):
        return {"missing": str(quantity)}
    return {key: round(value, 6) + 0.0 for key, value in asdict(quantity).items()}
