"""XTREME's averages: of each setting its score in the benchmark's tasks, in its groups and overall.

A task's score is the unweighted mean over all languages that XTREME scores it in, English included; the overall score
is the unweighted mean of the nine tasks. A task in fewer languages is told as such and enters no average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from adapterx.report.scores import MEAN, Family, Grid, Setting, is_share, summarise
from adapterx.report.statistics import Missing, Quantity, Scored, joined, measured, pooled, sample
from adapterx.tasks.xtreme import GROUPS, TASKS


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
    seeds: tuple[Scored, ...] = ()
    """The score with each seed; none unless it may enter averages."""
    items: int = 0
    untrained: bool = False


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
    families: dict[str, Family] = {}
    for setting in grid.settings:
        facts = grid.results.targets.get(setting.target)
        if facts is not None and facts.task in TASKS:
            arm = Arm(setting.backbone, setting.method, setting.intermediate, setting.transfer)
            found.setdefault(arm, []).append(setting)
            task = TASKS[facts.task]
            present = tuple(name for name in task.languages if name in facts.languages)
            if facts.name not in families:
                families[facts.name] = grid.family(replace(facts, languages=present, sources=()), task.metric)
    tasks = {arm: _tasks(grid, settings, families) for arm, settings in found.items()}
    means = {names: _means(tasks, names) for names in (*GROUPS.values(), tuple(TASKS))}
    rows = []
    for arm, of in tasks.items():
        whole = sum(bool(one.seeds) for one in of.values())
        groups = {group: means[names][arm] for group, names in GROUPS.items() if arm in means[names]}
        overall = means[tuple(TASKS)].get(arm, Missing(whole, len(TASKS), "task"))
        rows.append(Averages(arm, {name: of[name] for name in TASKS if name in of}, groups, overall))
    return tuple(rows)


def _tasks(grid: Grid, settings: Sequence[Setting], families: Mapping[str, Family]) -> dict[str, TaskScore]:
    """An arm's tasks."""
    tasks: dict[str, TaskScore] = {}
    for setting in settings:
        family, cells = families[setting.target], grid.settings[setting]
        name = family.facts.task
        sizes = len(family.facts.languages), len(TASKS[name].languages)
        if name in tasks:
            tasks[name] = TaskScore(Missing(1, 2, "target", "several targets of the run are this task"), *sizes)
            continue
        summary = summarise(family, family.measured(cells), cells, share=is_share(family.metric))
        found = family.samples(cells).get(MEAN) if sizes[0] == sizes[1] else None
        seeds = tuple(family.seeds(cells, MEAN)) if found else ()
        tasks[name] = TaskScore(
            summary.mean, *sizes, seeds, found.items if found else 0, found is not None and found.untrained
        )
    return tasks


def _means(tasks: Mapping[Arm, Mapping[str, TaskScore]], names: Sequence[str]) -> dict[Arm, Quantity]:
    """The mean over some tasks of every arm that has them whole, its variance of training pooled over those arms.

    Trainings of one seed may share an intermediate, so tasks are averaged seed by seed.
    """
    samples = {}
    for arm, of in tasks.items():
        chosen = [of[name] for name in names if name in of]
        if len(chosen) == len(names) and len({len(one.seeds) for one in chosen}) == 1 and chosen[0].seeds:
            seeds = [joined([one.seeds[at] for one in chosen]) for at in range(len(chosen[0].seeds))]
            untrained = all(one.untrained for one in chosen)
            samples[arm] = sample(seeds, min(one.items for one in chosen), untrained=untrained)
    training = pooled(samples.values())
    return {arm: measured(one, training).estimate(share=True) for arm, one in samples.items()}
