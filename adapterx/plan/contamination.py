"""How a plan asks what the data of a training and of an evaluation have in common."""

from __future__ import annotations

from collections.abc import Callable

from adapterx.tasks.facts import Relation, TaskPart

Compare = Callable[[TaskPart, TaskPart, str], Relation]
"""(used, scored, split) → what they have in common.

`split` says which of the first part is used: `train` is learnt from; by `dev` a step, a learning rate or weights are
chosen. May raise ValueError, LookupError or OSError, worded for the user.
"""


def uncompared(used: TaskPart, scored: TaskPart, split: str) -> Relation:
    """Nothing is known but the names."""
    return Relation(same_task=split == "train" and used.task == scored.task)
