"""Which sequences of a batch attention handles as one rectangle. Needs no torch: a plan asks too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_BLOCKS = 6
MAX_WASTE = 0.12
"""A block is closed when more than this share of it would be padding, as long as blocks are left."""


def grouped(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Sequence indices by block, longest first. Short sequences, whose padding is cheap, share the last block."""
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order]
    blocks: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        if len(blocks) == MAX_BLOCKS - 1:
            stop = len(order)
        else:
            sizes = np.arange(1, len(order) - start + 1)
            filled = np.cumsum(ordered[start:]) / (ordered[start] * sizes)
            wasteful = filled < 1 - MAX_WASTE
            stop = start + int(np.argmax(wasteful)) if wasteful.any() else len(order)
        blocks.append(order[start:stop])
        start = stop
    return blocks
