"""4-bit normal floats by bitsandbytes, as QLoRA has them (Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adapterx.backbones.precisions.base import Precision
from adapterx.machine.kernels import Kernels

if TYPE_CHECKING:
    from adapterx.backbones.precisions.base import StoredLayer


class Nf4(Precision):
    """`Linear4bit` with scales of 64 weights each, themselves quantised, in every linear layer of the encoder."""

    name: ClassVar[str] = "nf4"
    description: ClassVar[str] = "4 bits, by bitsandbytes"
    rest = "bfloat16"
    matrix_bytes: ClassVar[float] = 0.52
    needs: ClassVar[str] = "bitsandbytes"

    def layer(self) -> StoredLayer:
        from adapterx.backbones.bitsandbytes_layers import nf4

        return nf4

    def copied_bytes(self, layers: int, kernels: Kernels) -> int:
        return 0

    def scratch_bytes(self, kernels: Kernels) -> int:
        """The library turns a matrix into the format of the rest for each product."""
        return self.rest_bytes
