"""What is known of a backbone without loading it; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


def layer_parameters(layers: int, hidden: int, intermediate: int) -> int:
    """Parameters of so many encoder layers: four attention projections, the two feed-forward maps, two layer norms.

    Args:
        hidden: width of the hidden states.
        intermediate: width of the feed-forward blocks.
    """
    per_layer = 4 * hidden * (hidden + 1) + 2 * hidden * intermediate + intermediate
    return layers * (per_layer + 5 * hidden)


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

    @property
    def layer_parameters(self) -> int:
        """Weights of the encoder layers, which every token passes."""
        return layer_parameters(self.layers, self.hidden, self.intermediate)

    @property
    def embedding_parameters(self) -> int:
        """Embeddings of tokens, positions (two more than it can read) and one type."""
        return (self.vocabulary + self.max_positions + 3) * self.hidden

    @property
    def parameters(self) -> int:
        """All of the encoder: embeddings, layers, a norm."""
        return self.embedding_parameters + self.layer_parameters + 2 * self.hidden
