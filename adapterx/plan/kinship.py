"""What the data of a training and of an evaluation have to do with each other, and what follows from it for a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapterx.plan.stage import TaskPart


@dataclass(frozen=True)
class Kinship:
    """What is known of a part that is trained on and one that is scored."""

    leak: str | None = None
    """Why no cell may train on the one and be scored on the other."""
    remark: str | None = None
    """What the reader of a plan should know of the two, if anything."""
    same_task: bool = False
    """Whether both ask the same: training on the one is training for the other, not transfer to it."""


Compare = Callable[[TaskPart, TaskPart], Kinship]
"""(trained, scored) → what they have in common. May raise ValueError, LookupError or OSError, worded for the user."""


def uncompared(trained: TaskPart, scored: TaskPart) -> Kinship:
    """Nothing is known but the names."""
    return Kinship(same_task=trained.task == scored.task)
