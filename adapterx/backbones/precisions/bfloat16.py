"""Half the bytes with the range of float32 and 8 bits of precision."""

from __future__ import annotations

from typing import ClassVar

from adapterx.backbones.precisions.base import Precision
from adapterx.machine import kernels


class BFloat16(Precision):
    """bfloat16; computed as such where the processor or GPU multiplies it, else in float32 from weights kept so."""

    name: ClassVar[str] = "bfloat16"
    description: ClassVar[str] = "16 bits, the range of float32"
    rest = "bfloat16"
    matrix_bytes: ClassVar[float] = 2
    trainable: ClassVar[bool] = True

    def weights(self, embeddings: int, layers: int, reordered: int) -> int:
        """With two copies of the layers, forward and backward, where a processor that multiplies it keeps them."""
        copies = 2 if kernels.multiplies_bfloat16() and 2 * layers <= reordered else 0
        return 2 * (embeddings + (1 + copies) * layers)
