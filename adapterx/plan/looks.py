"""How a plan asks for looks at the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapterx.tasks.facts import Seen, Split


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
