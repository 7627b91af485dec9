"""Packed batches: token rows without padding, and the layout in which attention sees them.

A batch of sequences is one list of token rows (N, d). Linear layers, norms and adapters work on the rows as they
are. Only attention asks for more: kernels for sequences of any length take the rows with their offsets (`Spans`);
elsewhere sequences are sorted by length and cut into a few rectangles with little padding (`Blocks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.blocks import grouped

_LONGEST_STEP = 64
"""Kernels are told lengths rounded up to this, so that batches of like length have the same shape."""


@dataclass(frozen=True)
class Block:
    """Sequences that attention handles as one rectangle."""

    sequences: int
    queries: int
    """Query slots per sequence."""
    keys: int
    """Key slots per sequence."""
    mask: Tensor | None
    """(sequences, 1, 1, keys), true at real keys; None where no key is padding."""


@dataclass(frozen=True)
class Rectangle:
    """Two-way index between packed rows and the padded slots of all blocks, one after another."""

    gather: Tensor
    """(slots,) row of each slot; at padding, the first row of the same sequence."""
    scatter: Tensor
    """(rows,) slot of each row."""
    padding: Tensor | None
    """(slots,) true at padding; None where there is none."""


@dataclass(frozen=True)
class Blocks:
    """Rectangles with the index of their queries and of their keys. With all rows as queries the two are the same."""

    blocks: tuple[Block, ...]
    queries: Rectangle
    keys: Rectangle

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the layout, always in the same order."""
        for index in (self.queries, self.keys):
            yield from (index.gather, index.scatter)
            if index.padding is not None:
                yield index.padding
        yield from (block.mask for block in self.blocks if block.mask is not None)


@dataclass(frozen=True)
class SequenceSpans:
    """Sequences by their offsets, for kernels that need no rectangles."""

    queries: Tensor
    """(S + 1,) int32, where each sequence's query rows begin; empty sequences may close the list."""
    keys: Tensor
    """(S + 1,) int32, where its key rows begin."""
    longest: tuple[int, int]
    """At least the most query rows and the most key rows of any sequence."""

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the layout, always in the same order."""
        yield from (self.queries, self.keys)


Attention: TypeAlias = Blocks | SequenceSpans


@dataclass(frozen=True)
class PackedBatch:
    """Token rows of several cells, cell after cell, and what the encoder must know about them."""

    tokens: Tensor
    """(N,) token ids."""
    positions: Tensor
    """(N,) position within the sequence, from 0."""
    reads: Tensor
    """(R,) rows the heads read, ascending: the last layer is computed only there."""
    rows: tuple[int, ...]
    """Token rows of each cell; sums to N."""
    read_rows: tuple[int, ...]
    """Read rows of each cell; sums to R."""
    attention: Attention
    """Every row asks, every row answers: all layers but the last."""
    read_attention: Attention
    """Only the read rows ask: the last layer."""
    expansion: Expansion | None = None
    """Where cells see the same sequences: those sequences once, for all that happens below the first adapter."""

    @property
    def shared(self) -> PackedBatch:
        """The distinct sequences."""
        return self if self.expansion is None else self.expansion.shared

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the batch, always in the same order."""
        yield from (self.tokens, self.positions, self.reads)
        yield from self.attention.tensors()
        yield from self.read_attention.tensors()
        if self.expansion is not None:
            yield from (self.expansion.rows, self.expansion.reads)
            yield from self.expansion.shared.tensors()


@dataclass(frozen=True)
class Expansion:
    """From distinct sequences to those of every cell."""

    shared: PackedBatch
    rows: Tensor
    """(N,) shared row behind each row of the batch."""
    reads: Tensor
    """(R,) read shared row behind each read row of the batch."""


@dataclass(frozen=True)
class Sequences:
    """Sequences given back to back, cell after cell."""

    tokens: NDArray[np.int32]
    """(N,) token ids."""
    lengths: NDArray[np.int64]
    """(S,) tokens of each sequence, each at least 1; sums to N."""
    reads: NDArray[np.int64]
    """(R,) rows that heads read, strictly ascending, at least one in every sequence."""
    per_cell: Sequence[int]
    """How many of the S sequences belong to each cell, in order; sums to S."""
    read_per_cell: Sequence[int]
    """How many of the R reads do; sums to R."""


def pack(sequences: Sequences, spans: bool = False, capacity: int = 0) -> PackedBatch:
    """Lay out sequences for the encoder, in host memory.

    Args:
        spans: lay attention out for variable-length kernels instead of rectangles.
        capacity: with `spans`, offsets are given for at least this many sequences, so that batches of like size have
            the same shape.
    """
    tokens, lengths, reads = sequences.tokens, sequences.lengths, sequences.reads
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if starts[-1] != len(tokens):
        raise ValueError(f"sequence lengths sum to {starts[-1]}, but there are {len(tokens)} tokens")
    owner = np.searchsorted(starts, reads, side="right") - 1
    asking = np.bincount(owner, minlength=len(lengths)).astype(np.int64)
    if not asking.all():
        raise ValueError(f"sequence {int(np.argmin(asking))} is never read")
    attention: Attention
    read_attention: Attention
    if spans:
        attention, read_attention = (_spans(queries, lengths, capacity) for queries in (lengths, asking))
    else:
        groups = grouped(lengths)
        keys = _rectangle(groups, lengths)
        attention = Blocks(_as_blocks(groups, lengths, lengths), keys, keys)
        read_attention = Blocks(_as_blocks(groups, asking, lengths), _rectangle(groups, asking), keys)
    cells = np.concatenate([[0], np.cumsum(sequences.per_cell)])
    return PackedBatch(
        tokens=torch.from_numpy(tokens.astype(np.int64)),
        positions=torch.from_numpy(np.arange(len(tokens)) - np.repeat(starts[:-1], lengths)),
        reads=torch.from_numpy(reads),
        rows=tuple(int(count) for count in np.diff(starts[cells])),
        read_rows=tuple(int(count) for count in sequences.read_per_cell),
        attention=attention,
        read_attention=read_attention,
    )


def _spans(queries: NDArray[np.int64], keys: NDArray[np.int64], capacity: int) -> SequenceSpans:
    empty = np.zeros(max(0, capacity - len(keys)), np.int64)
    longest = tuple(-(-int(counts.max()) // _LONGEST_STEP) * _LONGEST_STEP for counts in (queries, keys))
    offsets = (np.concatenate([[0], np.cumsum(counts), np.sum(counts) + empty]) for counts in (queries, keys))
    asked, answered = (torch.from_numpy(counts.astype(np.int32)) for counts in offsets)
    return SequenceSpans(asked, answered, (longest[0], longest[1]))


def _rectangle(groups: list[NDArray[np.int64]], counts: NDArray[np.int64]) -> Rectangle:
    """Index between rows and padded slots, where sequence i has counts[i] rows, all sequences back to back."""
    starts = np.cumsum(counts) - counts
    rows, real = [], []
    for group in groups:
        columns = np.arange(counts[group].max())
        inside = columns[None, :] < counts[group][:, None]
        # Padding repeats a row of its own sequence: what is not finite in one cell must not reach another.
        rows.append((starts[group][:, None] + np.where(inside, columns[None, :], 0)).reshape(-1))
        real.append(inside.reshape(-1))
    gather, is_real = np.concatenate(rows), np.concatenate(real)
    slots = np.flatnonzero(is_real)
    scatter = np.empty(int(counts.sum()), dtype=np.int64)
    scatter[gather[slots]] = slots
    padding = None if is_real.all() else torch.from_numpy(~is_real)
    return Rectangle(torch.from_numpy(gather), torch.from_numpy(scatter), padding)


def _as_blocks(
    groups: list[NDArray[np.int64]], queries: NDArray[np.int64], keys: NDArray[np.int64]
) -> tuple[Block, ...]:
    blocks = []
    for group in groups:
        lengths = keys[group]
        mask = None
        if (lengths != lengths[0]).any():
            mask = torch.from_numpy((np.arange(lengths.max())[None, :] < lengths[:, None])[:, None, None, :])
        blocks.append(Block(len(group), int(queries[group].max()), int(lengths.max()), mask))
    return tuple(blocks)
