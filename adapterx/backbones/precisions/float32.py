"""Single precision, in which checkpoints of XLM-R are stored."""

from __future__ import annotations

from typing import ClassVar


class Float32:
    """IEEE 754 binary32."""

    name: ClassVar[str] = "float32"
    number_bytes: ClassVar[int] = 4
    full: ClassVar[bool] = True

    def weights(self, embeddings: int, layers: int, reordered: int) -> int:
        """With two copies of the layers, forward and backward, where these are kept."""
        copies = 2 if 4 * layers <= reordered else 0
        return 4 * (embeddings + (1 + copies) * layers)
