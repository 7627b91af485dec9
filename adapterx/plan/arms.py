"""The arms that a recipe compares: what each learns, from how much, and whether all have equal terms.

Equal are different training examples, steps, batch sizes and candidate learning rates, of each backbone and method by
itself. An arm of several members has what they have together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterx.config.problems import Finding, SettingError
from adapterx.plan.cells import Cell
from adapterx.plan.counted import steps_of
from adapterx.plan.stage import Stage, Training
from adapterx.recipe import Recipe
from adapterx.tasks.kinds import kind

if TYPE_CHECKING:
    from adapterx.plan.result import CellStages

Origin = Callable[[str, str, str], str]
"""From a task, a source and a language to where its training texts come from: written, machine or people."""
Examples = Callable[[Training], int | None]
"""From a training to the different examples it learns from; None where that is not known."""


@dataclass(frozen=True)
class Terms:
    """What one training of an arm has; None where the size of its data is not known."""

    examples: int | None
    steps: float | None
    batch: int
    candidates: int
    """Learning rates that are tried."""


@dataclass(frozen=True)
class ComparedArm:
    """One of the intermediates that are compared."""

    name: str
    tasks: tuple[str, ...]
    """Those it learns, text beside them too; none where nothing is learnt, or elsewhere."""
    languages: tuple[str, ...]
    origins: Mapping[str, int]
    """Languages by where their texts come from: written, machine, people. One with several counts for each."""
    text_share: float
    """Part of the steps that learn text beside the tasks."""
    terms: tuple[Terms, ...]
    """Different ones, over backbones and methods."""

    @property
    def words(self) -> str:
        """What a plan and a report say of it."""
        if not self.tasks:
            return "nothing is learnt first, or elsewhere"
        where = f"{len(self.languages)} languages" if len(self.languages) > 1 else self.languages[0]
        text = f"{', '.join(self.tasks)} in {where} ({self.origin})"
        if self.text_share:
            text += f", text in {100 * self.text_share:g}% of the steps"
        return text

    @property
    def origin(self) -> str:
        """Where its texts come from, in words."""
        told = {"written": "written", "machine": "machine-translated", "people": "translated by people"}
        known = {name: self.origins[name] for name in told if self.origins.get(name)}
        if len(known) == 1:
            return f"{told[next(iter(known))]}{' there' * (len(self.languages) > 1)}"
        return ", ".join(f"{count} {told[name]}" for name, count in known.items())


@dataclass(frozen=True)
class Arms:
    """All arms of a recipe, the baseline first."""

    arms: tuple[ComparedArm, ...] = ()
    unequal: tuple[str, ...] = ()
    """What differs between them though it might not."""


def described(
    recipe: Recipe,
    stages: Mapping[str, Stage],
    cells: Mapping[Cell, CellStages],
    examples: Examples,
    origin: Origin,
) -> Arms:
    """The arms that a recipe compares; none where it compares nothing.

    Raises SettingError where the recipe gives a budget, and an arm has more or less.
    """
    if recipe.compare is None:
        return Arms()
    trainings = {name: _trainings(name, stages, cells) for name in recipe.compare.arms}
    terms = {
        name: {key: _together([(work, examples(work)) for work in of]) for key, of in by_key.items()}
        for name, by_key in trainings.items()
    }
    if findings := list(_beyond_budget(recipe, terms)):
        raise SettingError(findings)
    arms = tuple(_arm(name, trainings[name], terms[name], origin) for name in recipe.compare.arms)
    return Arms(arms, tuple(_unequal(terms)))


def _trainings(
    arm: str, stages: Mapping[str, Stage], cells: Mapping[Cell, CellStages]
) -> dict[tuple[str, str], list[Training]]:
    """An arm's trainings by backbone and method, of its first seed; nothing for an adapter that is read."""
    found: dict[tuple[str, str], list[Training]] = {}
    for cell, of in cells.items():
        key = cell.backbone, cell.method
        if cell.intermediate != arm or key in found:
            continue
        ids = of.members or ([of.intermediate] if of.intermediate is not None else [])
        works = [stages[id].work for id in dict.fromkeys(ids)]
        if works and all(isinstance(work, Training) for work in works):
            found[key] = [work for work in works if isinstance(work, Training)]
    return found


def _together(works: Sequence[tuple[Training, int | None]]) -> Terms:
    """What the trainings of an arm have in all."""
    examples = [count for _, count in works]
    steps = [steps_of(work, count) for work, count in works]
    return Terms(
        None if None in examples else sum(count or 0 for count in examples),
        None if None in steps else sum(count or 0.0 for count in steps),
        max(work.train.batch_size for work, _ in works),
        max(len(work.train.candidates) for work, _ in works),
    )


def _arm(
    name: str,
    trainings: Mapping[tuple[str, str], Sequence[Training]],
    terms: Mapping[tuple[str, str], Terms],
    of: Origin,
) -> ComparedArm:
    works = [work for one in trainings.values() for work in one]
    parts = [part for work in works for part in work.tasks]
    learnt = [part for part in parts if not kind(part.format).drawn] or parts
    sources = {(language, of(part.task, part.source, language)) for part in learnt for language in part.languages}
    return ComparedArm(
        name,
        tuple(dict.fromkeys(part.task for part in parts)),
        tuple(dict.fromkeys(language for part in learnt for language in part.languages)),
        dict(Counter(origin for _, origin in sorted(sources))),
        max((work.text_share for work in works), default=0.0),
        tuple(dict.fromkeys(terms.values())),
    )


_NAMES = {
    "examples": "different training examples",
    "steps": "steps",
    "batch": "examples a step",
    "candidates": "learning rates tried",
}


def _unequal(terms: Mapping[str, Mapping[tuple[str, str], Terms]]) -> Iterator[str]:
    """What differs between arms of the same backbone and method: each difference once."""
    told = dict[str, None]()
    for key in dict.fromkeys(key for of in terms.values() for key in of):
        here = {name: of[key] for name, of in terms.items() if key in of}
        for field, what in _NAMES.items():
            values = {name: getattr(one, field) for name, one in here.items()}
            if len(set(values.values()) - {None}) > 1:
                each = ", ".join(f"{_number(value)} in {name}" for name, value in values.items() if value is not None)
                told[f"{what}: {each}"] = None
    yield from told


def _beyond_budget(recipe: Recipe, terms: Mapping[str, Mapping[tuple[str, str], Terms]]) -> Iterator[Finding]:
    """Arms that have more or less than the recipe's budget, each number once."""
    budget = recipe.compare.budget if recipe.compare is not None else None
    asked = {} if budget is None else {"examples": budget.examples, "steps": budget.steps}
    for field, wanted in asked.items():
        off = dict[str, None]()
        for name, of in terms.items():
            for one in of.values():
                value = getattr(one, field)
                if wanted is not None and value is not None and round(value) != wanted:
                    off[f"'{name}' has {_number(value)}"] = None
        if off:
            advice = "set `limit` (examples of each task and language)" if field == "examples" else "set `steps`"
            yield Finding(
                ("compare", "budget", field),
                f"every arm is to have {wanted:,} {_NAMES[field]}, and {', '.join(off)}",
                f"{advice} of the intermediate's `train`, or leave the budget out",
            )


def _number(value: float) -> str:
    return f"{value:,.0f}"
