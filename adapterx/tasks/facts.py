"""What a plan is told of the data it names; needs no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Split: TypeAlias = tuple[str, str, str, str]
"""Task, source, language and split."""


@dataclass(frozen=True)
class TaskPart:
    """The part of a task's data that a stage reads."""

    task: str
    format: str
    labels: tuple[str, ...]
    source: str
    languages: tuple[str, ...]
    """Sorted, since their order changes nothing."""
    data: str
    """Fingerprint of exactly this part."""
    tokens: int
    """Of a typical sequence, for estimates only."""


@dataclass(frozen=True)
class Seen:
    """One split of a task in one language."""

    origin: str = ""
    """Its files, for messages; empty where the task has no such split in this language."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Items that are left out, by reason."""
    only_label: str = ""
    """The label that all of several items have, by which nothing can be learnt or told; empty where they differ."""


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
