"""Single precision, in which checkpoints of XLM-R are stored."""

from __future__ import annotations

from typing import ClassVar

from adapterx.backbones.precisions.base import Precision


class Float32(Precision):
    """IEEE 754 binary32."""

    name: ClassVar[str] = "float32"
    description: ClassVar[str] = "32 bits, as checkpoints are trained"
    rest = "float32"
    matrix_bytes: ClassVar[float] = 4
    trainable: ClassVar[bool] = True
    exact: ClassVar[bool] = True
