"""What two encodings have in common, and where their arrays lie."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from adapterx.tasks.encoded import Encoded

ARRAYS = tuple(field.name for field in fields(Encoded) if field.name != "ids")


def same(one: Encoded, other: Encoded) -> bool:
    """Whether two encodings hold the same examples, number for number and type for type."""
    return tuple(one.ids) == tuple(other.ids) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ARRAYS
    )


def mapped(array: object) -> bool:
    """Whether an array is a view of a memory-mapped file."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)
