"""Names in a recipe that nothing bears: members, tasks, sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from adapterx.config.problems import Finding, did_you_mean
from adapterx.plan.facts import Facts, Refusal, Task
from adapterx.recipe import Recipe


def unknown_members(recipe: Recipe) -> Iterator[Finding]:
    """Members that are no intermediates, made of others themselves, several, or not of the cell's method."""
    single = [
        name
        for name, one in recipe.intermediates.items()
        if one is not None and one.members is None and not one.per_language and one.method is None
    ]
    for name, intermediate in recipe.intermediates.items():
        for index, member in enumerate((intermediate and intermediate.members) or ()):
            if member not in single:
                known = member in recipe.intermediates
                why = "is no single adapter of the cell's method" if known else "is not among the intermediates"
                yield Finding(
                    ("intermediates", name, "members", index), f"'{member}' {why}", did_you_mean(member, single)
                )


def unknown_tasks(recipe: Recipe, facts: Facts[Task]) -> Iterator[Finding]:
    """Tasks and sources that the recipe names and nobody has."""
    for name, intermediate in recipe.intermediates.items():
        if intermediate is not None:
            for index, task in enumerate(intermediate.tasks):
                yield from _unknown(
                    facts, task, intermediate.source_of(task), ("intermediates", name), ("tasks", index)
                )
            if (text := intermediate.beside) is not None:
                yield from _unknown(facts, text.task, text.source, ("intermediates", name, "with"), ("task",))
    for name, target in recipe.targets.items():
        found = list(_unknown(facts, target.task, target.source, ("targets", name), ("task",)))
        if target.train_task is not None:
            learnt = _unknown(facts, target.train_task, target.source, ("targets", name), ("train_task",))
            sourced = any(one.location[-1] == "source" for one in found)
            found += [_of_both(one) for one in learnt if not (sourced and one.location[-1] == "source")]
        yield from found


def _of_both(one: Finding) -> Finding:
    """What a source that only the task lacks which is trained on should be told as."""
    if one.location[-1] != "source":
        return one
    return replace(one, message=f"{one.message}; `source` is that of `task` and of `train_task`")


def _unknown(
    facts: Facts[Task], task: str, source: str | None, entry: tuple[str, ...], key: tuple[str | int, ...]
) -> Iterator[Finding]:
    try:
        facts.task(task)
    except Refusal as refusal:
        yield Finding((*entry, *key), str(refusal))
        return
    try:
        facts.source(task, source)
    except Refusal as refusal:
        yield Finding((*entry, "source"), str(refusal))
