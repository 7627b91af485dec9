"""Half the bytes with 11 bits of precision and a narrow range."""

from __future__ import annotations

from typing import ClassVar

from adapterx.backbones.precisions.base import Precision


class Float16(Precision):
    """IEEE 754 binary16: weights are stored so, hidden states are float32, whose range encoders need."""

    name: ClassVar[str] = "float16"
    description: ClassVar[str] = "16 bits, finer than bfloat16"
    rest = "float16"
    matrix_bytes: ClassVar[float] = 2
