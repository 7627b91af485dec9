"""Half the bytes with the range of float32 and 8 bits of precision."""

from __future__ import annotations

from typing import ClassVar

from adapterx.backbones.precisions.base import Precision


class BFloat16(Precision):
    """bfloat16; computed as such where the processor or GPU multiplies it, else in float32 from weights kept so."""

    name: ClassVar[str] = "bfloat16"
    description: ClassVar[str] = "16 bits, the range of float32"
    rest = "bfloat16"
    matrix_bytes: ClassVar[float] = 2
    trainable: ClassVar[bool] = True
