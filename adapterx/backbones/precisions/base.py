"""What a number format of frozen weights decides: `Precision`, of which each format is one object. Needs no torch."""

from __future__ import annotations

from typing import ClassVar, Protocol


class Precision(Protocol):
    """A number format in which a backbone is loaded. It changes results, so it is part of what a stage is."""

    name: ClassVar[str]
    """As recipes and records write it, and as torch calls the format."""
    number_bytes: ClassVar[int]
    """Of a weight, and of what is kept of a token for the backward pass."""
    full: ClassVar[bool]
    """Whether weights are as precise as what is trained: full fine-tuning and some libraries need it."""

    def weights(self, embeddings: int, layers: int, reordered: int) -> int:
        """Bytes in memory of a backbone's weights.

        Args:
            embeddings, layers: parameters of both.
            reordered: up to how many bytes of layers a CPU keeps copies of, in the order in which it multiplies them.
        """
        ...
