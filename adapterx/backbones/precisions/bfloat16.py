"""Half the bytes with the range of float32 and 8 bits of precision."""

from __future__ import annotations

from typing import ClassVar


class BFloat16:
    """bfloat16: nothing is reordered, as the library multiplies it as it is."""

    name: ClassVar[str] = "bfloat16"
    number_bytes: ClassVar[int] = 2
    full: ClassVar[bool] = False

    def weights(self, embeddings: int, layers: int, reordered: int) -> int:
        """The weights alone."""
        return 2 * (embeddings + layers)
