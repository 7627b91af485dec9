"""8-bit floating point with a scale per row, for GPUs that multiply it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adapterx.backbones.precisions.base import Precision
from adapterx.machine.kernels import Kernels

if TYPE_CHECKING:
    from adapterx.backbones.precisions.base import StoredLayer


class Fp8(Precision):
    """float8 e4m3, weights twice: a gradient needs them with scales of the other side. Speed, not memory."""

    name: ClassVar[str] = "fp8"
    description: ClassVar[str] = "8-bit floating point, twice"
    rest = "bfloat16"
    matrix_bytes: ClassVar[float] = 2.02
    library: ClassVar[bool] = False
    capability: ClassVar[tuple[int, int]] = (8, 9)

    def layer(self) -> StoredLayer:
        from adapterx.backbones.row_quantised import fp8_rows

        return fp8_rows

    def copied_bytes(self, layers: int, kernels: Kernels) -> int:
        return 0

    def scratch_bytes(self, kernels: Kernels) -> int:
        return 0
