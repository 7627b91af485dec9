"""8-bit integers by bitsandbytes: LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adapterx.backbones.precisions.base import Precision
from adapterx.machine.kernels import Kernels

if TYPE_CHECKING:
    from adapterx.backbones.precisions.base import StoredLayer

OUTLIERS = 6.0
"""Input features with a number from this size on are multiplied in 16 bits: the paper's threshold."""


class Int8(Precision):
    """`Linear8bitLt` in every linear layer of the encoder, as `load_in_8bit` makes it; embeddings and norms stay."""

    name: ClassVar[str] = "int8"
    description: ClassVar[str] = "8 bits, by bitsandbytes"
    rest = "bfloat16"
    matrix_bytes: ClassVar[float] = 1.01
    needs: ClassVar[str] = "bitsandbytes"

    def layer(self) -> StoredLayer:
        from adapterx.backbones.bitsandbytes_layers import int8

        return int8

    def copied_bytes(self, layers: int, kernels: Kernels) -> int:
        return 0

    def scratch_bytes(self, kernels: Kernels) -> int:
        """The library turns a matrix into 32 bits on its way back."""
        return 4
