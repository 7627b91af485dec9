"""Packed batches: token rows without padding, and the layout in which attention sees them.

A batch of sequences is one list of token rows (N, d). Linear layers, norms and adapters work on the rows as they
are. Only attention asks for more: kernels for sequences of any length take the rows with their offsets (`Spans`);
elsewhere sequences are sorted by length and cut into a few rectangles with little padding (`Blocks`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.blocks import grouped
from adapterx.kernels.tiles import RowTiles, tiled

_LONGEST_STEP = 64
"""Kernels are told lengths rounded up to this, so that batches of like length have the same shape."""
BUCKETS = (32, 64, 128)
"""Tokens of a sequence up to which a program of the kernel for short ones holds it whole."""
_FEW = 16
"""Query rows of a sequence up to which they make a block of their own: the fewest that tensor cores multiply."""


@dataclass(frozen=True)
class ForKernels:
    """What the engine's own kernels are to find in a batch, beside what the library's need."""

    short: bool = False
    """Short sequences by their lengths, for attention."""
    tiles: bool = False
    """Rows of cells in tiles, for products."""
    ragged: bool = False
    """Cells as long as they are; only the whole batch is filled up, where cells are to be padded at all."""


LIBRARY = ForKernels()
"""Nothing but what the library's kernels need."""


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

    @property
    def key(self) -> Hashable:
        """What of it a recorded step has fixed beside the shapes of tensors: how slots are cut into rectangles."""
        return tuple((block.sequences, block.queries, block.keys, block.mask is None) for block in self.blocks)

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the layout, always in the same order."""
        for index in (self.queries, self.keys):
            yield from (index.gather, index.scatter)
            if index.padding is not None:
                yield index.padding
        yield from (block.mask for block in self.blocks if block.mask is not None)


@dataclass(frozen=True)
class Bucket:
    """Short sequences that fit one block."""

    members: Tensor
    """(S,) int32, places of sequences among all; what is beyond `count` is arbitrary."""
    count: Tensor
    """(1,) int32."""
    block: tuple[int, int]
    """Query rows and key rows at most."""


@dataclass(frozen=True)
class Long:
    """The sequences that no bucket takes."""

    queries: Tensor
    """Their query rows among all."""
    keys: Tensor
    """Their key rows."""
    spans: SequenceSpans
    """The same sequences by themselves."""


@dataclass(frozen=True)
class Short:
    """The sequences of a batch by their lengths."""

    buckets: tuple[Bucket, ...]
    long: Long | None
    """None where there is none."""

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor, always in the same order."""
        for bucket in self.buckets:
            yield from (bucket.members, bucket.count)
        if self.long is not None:
            yield from (self.long.queries, self.long.keys, *self.long.spans.tensors())


@dataclass(frozen=True)
class SequenceSpans:
    """Sequences by their offsets, for kernels that need no rectangles."""

    queries: Tensor
    """(S + 1,) int32, where each sequence's query rows begin; empty sequences may close the list."""
    keys: Tensor
    """(S + 1,) int32, where its key rows begin."""
    longest: tuple[int, int]
    """At least the most query rows and the most key rows of any sequence."""
    short: Short | None = None
    """The same for the kernel for short sequences, where it is to run."""

    @property
    def key(self) -> Hashable:
        """What of it a recorded step has fixed beside the shapes of tensors: the grids of kernels."""
        if self.short is None:
            return self.longest
        long = self.short.long
        return (
            self.longest,
            tuple(bucket.block for bucket in self.short.buckets),
            None if long is None else long.spans.key,
        )

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the layout, always in the same order."""
        yield from (self.queries, self.keys)
        if self.short is not None:
            yield from self.short.tensors()


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
    row_tiles: RowTiles | None = None
    """`rows` for kernels that serve all cells at once."""
    read_tiles: RowTiles | None = None
    """`read_rows` for them."""
    ragged: bool = False
    """Whether cells have rows of their own number, which kernels find in the tiles."""

    @property
    def key(self) -> Hashable:
        """What of it a recorded step has fixed beside the shapes of tensors; of ragged cells not their rows."""
        counts = (len(self.rows), self.ragged) if self.ragged else (self.rows, self.read_rows)
        layouts = (self.attention.key, self.read_attention.key)
        return (counts, layouts, None if self.expansion is None else self.expansion.shared.key)

    @property
    def shared(self) -> PackedBatch:
        """The distinct sequences."""
        return self if self.expansion is None else self.expansion.shared

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the batch, always in the same order."""
        yield from (self.tokens, self.positions, self.reads)
        yield from self.attention.tensors()
        yield from self.read_attention.tensors()
        for tiles in (self.row_tiles, self.read_tiles):
            if tiles is not None:
                yield from tiles.tensors()
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


def pack(sequences: Sequences, spans: bool = False, capacity: int = 0, kernels: ForKernels = LIBRARY) -> PackedBatch:
    """Lay out sequences for the encoder, in host memory.

    Args:
        spans: lay attention out for variable-length kernels instead of rectangles.
        capacity: with `spans`, offsets are given for at least this many sequences, so that batches of like size have
            the same shape.
        kernels: what the engine's own kernels are to find.
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
        attention, read_attention = (_spans(queries, lengths, capacity, kernels) for queries in (lengths, asking))
    else:
        groups = grouped(lengths)
        keys = _rectangle(groups, lengths)
        attention = Blocks(_as_blocks(groups, lengths, lengths), keys, keys)
        read_attention = Blocks(_as_blocks(groups, asking, lengths), _rectangle(groups, asking), keys)
    cells = np.concatenate([[0], np.cumsum(sequences.per_cell)])
    rows = tuple(int(count) for count in np.diff(starts[cells]))
    read_rows = tuple(int(count) for count in sequences.read_per_cell)
    return PackedBatch(
        tokens=torch.from_numpy(tokens.astype(np.int64)),
        positions=torch.from_numpy(np.arange(len(tokens)) - np.repeat(starts[:-1], lengths)),
        reads=torch.from_numpy(reads),
        rows=rows,
        read_rows=read_rows,
        attention=attention,
        read_attention=read_attention,
        row_tiles=tiled(rows) if kernels.tiles else None,
        read_tiles=tiled(read_rows) if kernels.tiles else None,
        ragged=kernels.ragged,
    )


def _spans(
    queries: NDArray[np.int64], keys: NDArray[np.int64], capacity: int, kernels: ForKernels = LIBRARY
) -> SequenceSpans:
    empty = np.zeros(max(0, capacity - len(keys)), np.int64)
    longest = tuple(-(-int(counts.max()) // _LONGEST_STEP) * _LONGEST_STEP for counts in (queries, keys))
    offsets = (np.concatenate([[0], np.cumsum(counts), np.sum(counts) + empty]) for counts in (queries, keys))
    asked, answered = (torch.from_numpy(counts.astype(np.int32)) for counts in offsets)
    found = SequenceSpans(asked, answered, (longest[0], longest[1]))
    return _with_short(found, queries, keys, max(capacity, len(keys))) if kernels.short else found


def _with_short(
    spans: SequenceSpans, queries: NDArray[np.int64], keys: NDArray[np.int64], capacity: int
) -> SequenceSpans:
    """The same with its sequences by bucket; each bucket has room for all of them, so that shapes repeat."""
    few = bool(queries.max() <= _FEW)
    longest = (_FEW if few else spans.longest[0], spans.longest[1])
    buckets, low = [], 0
    for most in BUCKETS:
        own = np.flatnonzero((keys > low) & (keys <= most))
        members = np.zeros(capacity, np.int32)
        members[: len(own)] = own
        count = torch.tensor([len(own)], dtype=torch.int32)
        buckets.append(Bucket(torch.from_numpy(members), count, (_FEW if few else most, most)))
        low = most
    long = _long(queries, keys, np.flatnonzero(keys > low), longest) if keys.max() > low else None
    return replace(spans, longest=longest, short=Short(tuple(buckets), long))


def _long(
    queries: NDArray[np.int64], keys: NDArray[np.int64], own: NDArray[np.int64], longest: tuple[int, int]
) -> Long:
    rows = (
        np.concatenate([np.arange(start, start + count) for start, count in zip(starts[own], counts[own], strict=True)])
        for starts, counts in ((np.cumsum(counts) - counts, counts) for counts in (queries, keys))
    )
    asking, answering = (torch.from_numpy(found) for found in rows)
    return Long(asking, answering, replace(_spans(queries[own], keys[own], 0), longest=longest))


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
