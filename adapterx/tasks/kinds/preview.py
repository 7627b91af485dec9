"""What `adapterx tasks show` marks in an example; needs neither a tokenizer nor a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ShownSequence:
    """One token sequence of an example."""

    tokens: range
    """Places in the tokens of the encoded data."""
    marked: Mapping[int, str] = field(default_factory=dict)
    """The tokens that stand in «», each with the label that it bears, or an empty text."""
    lead: str = ""
    """What stands before it."""


@dataclass(frozen=True)
class ShownExample:
    """One example: its right answer, then its sequences."""

    answer: str
    """Beside its id; empty where there is nothing to show."""
    sequences: tuple[ShownSequence, ...]
    lead: str = ""
    """What stands before its id."""
