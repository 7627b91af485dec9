"""Which splits a grid reads, as far as its recipe tells, so that they are read together before they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from adapterx.config.fields import ALL_LANGUAGES
from adapterx.plan.cells import Cell
from adapterx.plan.facts import Facts, Refusal, Task
from adapterx.recipe import Recipe
from adapterx.recipe.training import Phase, PhaseTrain
from adapterx.tasks.facts import Split
from adapterx.train_settings import TrainSettings


def look_ahead(recipe: Recipe, facts: Facts[Task], cells: Iterable[Cell]) -> None:
    """Have the data of all cells looked at, what cells that are refused would read included."""
    splits: dict[Split, None] = {}
    asked = {(cell.method, cell.intermediate, cell.target): None for cell in cells}
    for method, intermediate, target in asked:
        splits |= dict.fromkeys(_learnt(recipe, facts, method, intermediate))
        splits |= dict.fromkeys(_of_target(recipe, facts, method, target))
    facts.ahead(list(splits))


def _learnt(recipe: Recipe, facts: Facts[Task], method: str, name: str) -> Iterator[Split]:
    for member in (learnt.members or (name,)) if (learnt := recipe.intermediates[name]) else ():
        if (one := recipe.intermediates[member]) is not None:
            settings = _settings(recipe, "intermediate", method, one.train)
            for task in sorted(one.tasks):
                yield from _splits(facts, task, one.source_of(task), one.languages, settings.splits)
            if (text := one.beside) is not None:
                yield from _splits(facts, text.task, text.source, text.languages, ("train",))


def _of_target(recipe: Recipe, facts: Facts[Task], method: str, name: str) -> Iterator[Split]:
    target = recipe.targets[name]
    with suppress(Refusal):
        scored = tuple(facts.task(target.task).scored)
        yield from _splits(facts, target.task, target.source, target.languages, scored)
    learnt, settings = target.train_task or target.task, _settings(recipe, "target", method, target.train)
    yield from _splits(facts, learnt, target.source, target.train_languages, settings.splits)


def _settings(recipe: Recipe, phase: Phase, method: str, own: PhaseTrain | None) -> TrainSettings:
    return recipe.train.phase(phase, method, recipe.methods[method].kind, own)


def _splits(
    facts: Facts[Task], task: str, source: str | None, languages: tuple[str, ...], splits: tuple[str, ...]
) -> Iterator[Split]:
    with suppress(Refusal):
        chosen = facts.source(task, source)
        for code in facts.task(task).languages if languages == ALL_LANGUAGES else languages:
            yield from ((task, chosen, code, split) for split in splits)
