"""What a look at the data of a split tells, beyond how many examples it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seen:
    """One split of a task in one language."""

    origin: str = ""
    """Its files, for messages; empty where the task has no such split in this language."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Items that are left out, by reason."""
    only_label: str = ""
    """The label that all of several items have, by which nothing can be learnt or told; empty where they differ."""


Look = Callable[[str, str, str, str], Seen]
"""(task, source, language, split) → what is there.

May raise ValueError, LookupError or OSError, worded for the user: above all for a row that cannot be read.
"""


def unseen(task: str, source: str, language: str, split: str) -> Seen:
    """Nothing is known but what the task declares."""
    return Seen()
