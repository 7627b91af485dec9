"""The most operators that a step may launch: 4 cells over 3 layers of XLM-R on classification, copies included.

Measured on this code with a twentieth to spare. A change that needs more either goes cell by cell where it went
together, or has a reason that belongs beside the new number. In float32 attention is cut into rectangles, hence its
larger numbers; fp8 rounds what enters each product; masks of dropout and AdapterDrop are drawn cell by cell.
"""

from __future__ import annotations

_FORMATS = ("bfloat16", "float32", "float16", "int8-rows", "fp8")
_MEASURED: dict[str, tuple[int, ...]] = {
    "lora": (293, 676, 702, 343, 506),
    "lora-everywhere": (471, 806, 832, 521, 684),
    "lora-top": (199, 476, 493, 231, 340),
    "lora-dropout": (825, 1208, 1234, 875, 1038),
    "lora-adapter-drop": (315, 698, 724, 365, 528),
    "sequential": (276, 598, 621, 320, 465),
    "double": (379, 677, 702, 427, 584),
    "parallel": (272, 594, 617, 316, 461),
    "invertible": (340, 707, 734, 392, 561),
    "ia3": (262, 651, 677, 312, 475),
    "fusion": (414,),
    "fusion-low-rank": (438,),
    "head": (160,),
    "full": (462,),
}
_SPARE = 1.05
REPLAYED = 13
"""Of a replayed step: the copies of its numbers and of its losses, and who is alive."""


def budget(method: str, precision: str) -> int | None:
    """The most operators of a step; None for what has not been measured yet."""
    measured = _MEASURED.get(method, ())
    at = _FORMATS.index(precision)
    return int(_SPARE * measured[at]) if at < len(measured) else None
