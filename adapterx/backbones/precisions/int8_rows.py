"""8-bit integers with a scale per output feature, multiplied by the engine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adapterx.backbones.precisions.base import Precision
from adapterx.machine.kernels import Kernels

if TYPE_CHECKING:
    from adapterx.backbones.precisions.base import StoredLayer


class Int8Rows(Precision):
    """Weights rounded to -127 … 127 times a scale of their row.

    They are turned into the format of hidden states in one matrix that all layers share; on a processor that
    multiplies 8-bit integers and no bfloat16, inputs are rounded row by row too, and multiplied as integers.
    """

    name: ClassVar[str] = "int8-rows"
    description: ClassVar[str] = "8 bits, a scale per row"
    rest = "bfloat16"
    matrix_bytes: ClassVar[float] = 1.01
    library: ClassVar[bool] = False

    def layer(self) -> StoredLayer:
        from adapterx.backbones.row_quantised import int8_rows

        return int8_rows

    def copied_bytes(self, layers: int, kernels: Kernels) -> int:
        return 0

    def scratch_bytes(self, kernels: Kernels) -> int:
        """None where integers are multiplied as such, which pays where 16 bits are not multiplied fast."""
        hidden = self.hidden_bytes(kernels)
        return 0 if kernels.int8 and not kernels.gpu and hidden == 4 else hidden
