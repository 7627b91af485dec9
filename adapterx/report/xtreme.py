"""XTREME's averages: of each setting its score in the benchmark's tasks, in its groups and overall.

A task's score is the unweighted mean over all languages that XTREME scores it in, English included; the overall score
is the unweighted mean of the nine tasks. A task in fewer languages is told as such and enters no average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from adapterx.report.collect import TargetFacts
from adapterx.report.scores import ByLanguage, Grid, Setting, summarise, why
from adapterx.report.statistics import Drawn, Estimate, Missing, Quantity, average
from adapterx.tasks.xtreme import GROUPS, TASKS, Task


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
