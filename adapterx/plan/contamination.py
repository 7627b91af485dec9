"""What the data of a training and of an evaluation have in common, and what follows from it for a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapterx.plan.stage import TaskPart


@dataclass(frozen=True)
class Relation:
    """What is known of a part that is learnt from (or chosen by) and one that is scored."""

    leak: str | None = None
    """Why no cell may use the one and be scored on the other."""
    remarks: tuple[str, ...] = ()
    """What the reader of a plan should know of the two: shared items that are let pass, comparisons not made."""
    unseen: bool = False
    """Whether something was not compared because it is not downloaded yet."""
    same_task: bool = False
    """Whether both ask the same: training on the one is training for the other, not transfer to it."""


Compare = Callable[[TaskPart, TaskPart, str], Relation]
"""(used, scored, split) → what they have in common.

`split` says which of the first part is used: `train` is learnt from; by `dev` a step, a learning rate or weights are
chosen. May raise ValueError, LookupError or OSError, worded for the user.
"""


def uncompared(used: TaskPart, scored: TaskPart, split: str) -> Relation:
    """Nothing is known but the names."""
    return Relation(same_task=split == "train" and used.task == scored.task)
