"""What is known of a backbone without loading it; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BackboneInfo:
    """What a plan knows of a backbone without loading it."""

    key: str
    """Names the content: equal keys, equal weights."""
    architecture: Literal["xlm-roberta", "xlm-roberta-xl"]
    hidden: int
    layers: int
    heads: int
    intermediate: int
    """Width of the feed-forward blocks."""
    vocabulary: int
    max_positions: int
    """Longest sequence in tokens, special tokens included."""
