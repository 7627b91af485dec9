"""What two encodings have in common, and where their arrays lie."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from adapterx.tasks.encoded import Encoded, Passages

ARRAYS = tuple(field.name for field in fields(Encoded) if field.name not in ("ids", "passages"))
OF_PASSAGES = ("characters", "example_texts")


def same(one: Encoded, other: Encoded) -> bool:
    """Whether two encodings hold the same examples, number for number and type for type."""
    return tuple(one.ids) == tuple(other.ids) and _equal(one, other, ARRAYS) and _same(one.passages, other.passages)


def _same(one: Passages | None, other: Passages | None) -> bool:
    if one is None or other is None:
        return one is other
    return tuple(one.texts) == tuple(other.texts) and _equal(one, other, OF_PASSAGES)


def _equal(one: object, other: object, names: tuple[str, ...]) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in names
    )


def mapped(array: object) -> bool:
    """Whether an array is a view of a memory-mapped file."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)
