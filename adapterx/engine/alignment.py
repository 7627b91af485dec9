"""Padding of cells to one size, so that a batched product serves them all, or of all of them together, so that kernels
do; either way batches have few different shapes."""

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


def rest_of(cells: Sequence[Counts]) -> Size:
    """What fills cells up together where each is as long as it is: rows, reads and sequences of filler alone.

    Sums are rounded up to about a thirty-second of themselves.
    """
    reads = _missing(sum(cell.reads for cell in cells), READS_STEP)
    rows = _missing(sum(cell.rows for cell in cells) + 1, ROWS_STEP) + 1
    while True:
        fillers = -(-rows // FILLER)
        if rows >= reads >= fillers:
            break
        reads, rows = (reads + READS_STEP, rows) if reads < fillers else (reads, rows + ROWS_STEP)
    return Size(rows, reads, fillers)


def up_reads(reads: int) -> int:
    """Read rows of a cell, rounded up."""
    return _up(reads, READS_STEP)


def capacity_of(sequences: int) -> int:
    """Sequences that a batch with so many, filler included, has room for, so that few more are no other shape."""
    return _up(sequences, FILLER)


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


def _missing(number: int, step: int) -> int:
    """What a number lacks to a multiple of a step, or of a power of two that is about a thirty-second of it."""
    step = max(step, 1 << max(0, number.bit_length() - 6))
    return _up(number, step) - number


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
