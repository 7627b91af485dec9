"""What the data of a cell's trainings and of its evaluation have in common: asked, refused or kept for the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic

from adapterx.plan.adoption import Adoption
from adapterx.plan.cells import Cell
from adapterx.plan.facts import Facts, Refusal, Task
from adapterx.plan.stage import Evaluation, Stage, Training
from adapterx.tasks.facts import Relation, TaskPart
from adapterx.tasks.kinds import kind

Compare = Callable[[TaskPart, TaskPart, str], Relation]
"""(used, scored, split) → what they have in common.

`split` says which of the first part is used: `train` is learnt from; by `dev` a step, a learning rate or weights are
chosen. May raise ValueError, LookupError or OSError, worded for the user.
"""


def uncompared(used: TaskPart, scored: TaskPart, split: str) -> Relation:
    """Nothing is known but the names."""
    return Relation(same_task=split == "train" and used.task == scored.task)


class Leakage(Generic[Task]):
    """Guards the cells of a plan against training on what they are scored on.

    Args:
        compare: looks for items that what is trained on shares with what is scored.
    """

    def __init__(self, facts: Facts[Task], compare: Compare) -> None:
        self._facts, self._compare = facts, compare
        self.target_training: set[Cell] = set()
        """Those of which an intermediate learns the target's task."""
        self.remarks: dict[str, None] = {}
        self.unseen = False
        """Whether some data could not be looked at."""

    def check(self, cell: Cell, upstream: Sequence[Stage], target: Stage | None, evaluation: Stage) -> None:
        """Refuse what leaks; keep what a reader should know of the cell."""
        assert isinstance(evaluation.work, Evaluation)
        scored = evaluation.work.task
        below = [stage.work for stage in upstream if isinstance(stage.work, Training)]
        above = [target.work] if target is not None and isinstance(target.work, Training) else []
        learnt = {part: self._relation(part, scored, "train") for work in (*below, *above) for part in work.tasks}
        chosen = [self._relation(part, scored, "dev") for work in (*below, *above) for part in _chosen_by(work)]
        found = (*learnt.values(), *chosen)
        if leaks := sorted(relation.leak for relation in found if relation.leak):
            raise Refusal(leaks[0])
        for adoption in (stage.work for stage in upstream if isinstance(stage.work, Adoption)):
            of = f", on '{adoption.adapter.task}'" if adoption.adapter.task else ""
            unknown = f"{adoption.init} was trained elsewhere{of}: whether it has seen items of '{scored.task}'"
            self.remarks[f"{unknown} is not known"] = None
        self.remarks.update(dict.fromkeys(sorted(remark for relation in found for remark in relation.remarks)))
        self.unseen |= any(relation.unseen for relation in found)
        own = [part.task for work in above for part in work.tasks]
        if any(learnt[part].same_task or part.task in own for work in below for part in work.tasks):
            self.target_training.add(cell)

    def _relation(self, used: TaskPart, scored: TaskPart, split: str) -> Relation:
        return self._facts.once(("relation", used, scored, split), lambda: self._compare(used, scored, split))


def _chosen_by(work: Training) -> Iterator[TaskPart]:
    """The parts by whose dev data a step, a learning rate or the weights of a merger are chosen."""
    if work.train.early_stopping is not None or work.train.prune is not None:
        yield from (part for part in work.tasks if kind(part.format).scored)
    for parts in work.member_dev:
        yield from parts
