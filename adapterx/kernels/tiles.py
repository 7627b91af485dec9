"""What kernels that serve all cells at once are told: rows in tiles of one cell each, and the deltas of LoRA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed

TILE = 32
"""Rows of a tile at most. Twice as many would leave a GPU's processors idle at a few thousand rows."""

LARGEST_RANK = 64
"""Of deltas that the kernel adds."""


@dataclass(frozen=True)
class RowTiles:
    """Where each cell's rows are. Shapes depend on the number of cells and of all rows alone, so that they repeat."""

    tiles: Tensor
    """(T, 3) int32: cell, first row, rows; tiles without rows close the list."""
    starts: Tensor
    """(K + 1,) int32: where each cell's rows begin, and where the last one's end."""

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor, always in the same order."""
        yield from (self.tiles, self.starts)


@dataclass(frozen=True)
class Deltas:
    """The low-rank deltas of modules on the same inputs."""

    a: tuple[Tensor, ...]
    """(K, r, i) of each module."""
    b: tuple[Tensor, ...]
    """(K, o, r) of each."""
    columns: tuple[int, ...]
    """The first column of each module among the outputs."""
    scale: float
    """What deltas are multiplied by."""

    def of(self, tensors: Sequence[Tensor]) -> Deltas:
        """The same of the tensors of A and then of B."""
        count = len(self.a)
        return Deltas(tuple(tensors[:count]), tuple(tensors[count:]), self.columns, self.scale)


@dataclass(frozen=True)
class Masks:
    """What counts the dropout masks of a step."""

    keys: Tensor
    """(K, places, 2) int32: two keys of each cell at each place of the network, which follow from seed and step."""
    firsts: Tensor
    """(K, 2) int32: where the cell's rows, and its read rows, begin in its whole batch, of which this may be a part."""


class CellRows(tuple[int, ...]):
    """Token rows of each cell, as a plain tuple says them, with the same as tensors on the device."""

    tiles: RowTiles
    reads: bool
    ragged: bool

    @classmethod
    def of(
        cls, rows: Sequence[int], tiles: RowTiles | None, reads: bool = False, ragged: bool = False
    ) -> tuple[int, ...]:
        """The rows with their tiles, or the plain tuple where there are none.

        Args:
            reads: whether they are the read rows.
            ragged: whether a recorded step is repeated with cells of other rows, so that the host must not read them.
        """
        if tiles is None:
            return tuple(rows)
        found = cls(rows)
        found.tiles, found.reads, found.ragged = tiles, reads, ragged
        return found


def tiled(rows: Sequence[int]) -> RowTiles:
    """The tiles of cells with so many rows, in host memory."""
    starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int32)
    counts = [-(-count // TILE) for count in rows]
    found = np.zeros((int(starts[-1]) // TILE + len(rows), 3), np.int32)
    cells = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(cells)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = starts[cells] + within * TILE
    found[: len(cells)] = np.stack([cells, first, np.minimum(TILE, starts[cells + 1] - first)], axis=1)
    return RowTiles(torch.from_numpy(found), torch.from_numpy(starts))


def tiles_of(rows: Sequence[int]) -> RowTiles | None:
    """The tiles that come with the rows, if any."""
    return rows.tiles if isinstance(rows, CellRows) else None


def by_library(rows: Sequence[int]) -> tuple[int, ...]:
    """The rows for the library's products. KernelFailed where cells are ragged: a batch is then to be laid out anew."""
    if isinstance(rows, CellRows) and rows.ragged:
        choice.leave("ragged")
        raise KernelFailed("ragged")
    return tuple(rows)
