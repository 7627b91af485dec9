"""Padding of cells to one size, so that a batched product serves them all and batches have few different shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS_STEP, READS_STEP, SEQUENCES_STEP = 64, 16, 16
"""Sizes are rounded up to multiples of these: a little more padding for far fewer shapes."""
FILLER = 64
"""Rows of a filler sequence at most: attention among filler rows grows with their square."""
PAD = 1
"""XLM-R's padding token, in every size."""


@dataclass(frozen=True)
class Counts:
    """What one cell has in a batch."""

    rows: int
    reads: int
    sequences: int


@dataclass(frozen=True)
class Size:
    """What every cell is padded to."""

    rows: int
    reads: int
    sequences: int
    """At most, filler included."""


def size_of(cells: Sequence[Counts]) -> Size:
    """The smallest size that all cells fit, with at least one filler row each.

    Each filler sequence is read at least once, and no filler row is read twice.
    """
    rows = _up(max(cell.rows for cell in cells) + 1, ROWS_STEP)
    while True:
        fillers = [-(-(rows - cell.rows) // FILLER) for cell in cells]
        reads = _up(max(cell.reads + count for cell, count in zip(cells, fillers, strict=True)), READS_STEP)
        needed = max(cell.rows + reads - cell.reads for cell in cells)
        if needed <= rows:
            break
        rows = _up(needed, ROWS_STEP)
    sequences = max(cell.sequences + count for cell, count in zip(cells, fillers, strict=True))
    return Size(rows, reads, _up(sequences, SEQUENCES_STEP))


@dataclass(frozen=True)
class Filler:
    """Rows that fill up one cell."""

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int64]
    reads: NDArray[np.int64]
    """Filler rows read, counted from the first of them."""


def filled(cell: Counts, size: Size) -> Filler:
    """What a cell lacks to a size: the first row of every filler sequence is read, and as many more as it takes."""
    rows, reads = size.rows - cell.rows, size.reads - cell.reads
    firsts = np.arange(0, rows, FILLER)
    others = np.setdiff1d(np.arange(rows), firsts)[: reads - len(firsts)]
    return Filler(
        tokens=np.full(rows, PAD, np.int32),
        lengths=np.minimum(FILLER, rows - firsts),
        reads=np.sort(np.concatenate([firsts, others])),
    )


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
