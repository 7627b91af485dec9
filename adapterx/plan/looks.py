"""What a look at the data of a split tells, beyond how many examples it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Split: TypeAlias = tuple[str, str, str, str]
"""Task, source, language and split."""


@dataclass(frozen=True)
class Seen:
    """One split of a task in one language."""

    origin: str = ""
    """Its files, for messages; empty where the task has no such split in this language."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Items that are left out, by reason."""
    only_label: str = ""
    """The label that all of several items have, by which nothing can be learnt or told; empty where they differ."""


class Look(Protocol):
    """Tells what is there."""

    def __call__(self, task: str, source: str, language: str, split: str) -> Seen:
        """A look at a split in a language.

        May raise ValueError, LookupError or OSError, worded for the user: above all for a row that cannot be read.
        """

    def ahead(self, asked: Sequence[Split]) -> None:
        """Learn which looks follow, so that they can be taken together; fails at nothing."""

    def size(self, asked: Split) -> int | None:
        """How many examples a split has, where a look has told; else None."""


class Unseeing:
    """Knows nothing but what tasks declare."""

    def __call__(self, task: str, source: str, language: str, split: str) -> Seen:
        """Nothing."""
        return Seen()

    def ahead(self, asked: Sequence[Split]) -> None:
        """Nothing."""

    def size(self, asked: Split) -> int | None:
        """Nothing."""
        return None


unseen = Unseeing()
