"""The number formats in which a backbone can be loaded: one is a module here and a line below. Needs no torch."""

from __future__ import annotations

from adapterx.backbones.precisions.base import Precision
from adapterx.backbones.precisions.bfloat16 import BFloat16
from adapterx.backbones.precisions.float16 import Float16
from adapterx.backbones.precisions.float32 import Float32
from adapterx.backbones.precisions.fp8 import Fp8
from adapterx.backbones.precisions.int8 import Int8
from adapterx.backbones.precisions.int8_rows import Int8Rows
from adapterx.backbones.precisions.nf4 import Nf4

PRECISIONS: dict[str, Precision] = {
    one.name: one for one in (Float32(), BFloat16(), Float16(), Int8(), Nf4(), Int8Rows(), Fp8())
}
"""By name; the first is the one that a recipe need not name."""
DEFAULT = next(iter(PRECISIONS))
FROZEN = Float32.name
"""The default of recipes of schema version 1, on which stored ids rest (`adapterx.plan.defaults`)."""


def precision(name: str) -> Precision:
    """The precision of that name. Raises ValueError for a name that is none: nothing is to be guessed of it."""
    if name not in PRECISIONS:
        raise ValueError(f"no precision is named '{name}'; there are {', '.join(PRECISIONS)}")
    return PRECISIONS[name]
