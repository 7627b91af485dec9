"""Packed batches: token rows without padding, and the blocks in which attention sees them.

A batch of sequences is one list of token rows (N, d). Linear layers, norms and adapters work on the rows as they
are. Only attention needs rectangles: sequences are sorted by length and cut into a few blocks with little padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_BLOCKS = 6
MAX_WASTE = 0.12
"""A block is closed when more than this share of it would be padding, as long as blocks are left."""


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
class Attention:
    """Blocks with the index of their queries and of their keys. With all rows as queries the two are the same."""

    blocks: tuple[Block, ...]
    queries: Rectangle
    keys: Rectangle


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


def pack(
    tokens: NDArray[np.int32],
    lengths: NDArray[np.int64],
    reads: NDArray[np.int64],
    sequences_per_cell: Sequence[int],
    device: torch.device | str = "cpu",
) -> PackedBatch:
    """Lay out sequences given back to back.

    Args:
        tokens: (N,) token ids, sequence after sequence, cell after cell.
        lengths: (S,) tokens of each sequence, each at least 1; sums to N.
        reads: (R,) rows that heads read, strictly ascending, at least one in every sequence.
        sequences_per_cell: how many of the S sequences belong to each cell, in order.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if starts[-1] != len(tokens):
        raise ValueError(f"sequence lengths sum to {starts[-1]}, but there are {len(tokens)} tokens")
    owner = np.searchsorted(starts, reads, side="right") - 1
    reads_of_sequence = np.bincount(owner, minlength=len(lengths)).astype(np.int64)
    if not reads_of_sequence.all():
        raise ValueError(f"sequence {int(np.argmin(reads_of_sequence))} is never read")
    read_starts = np.concatenate([[0], np.cumsum(reads_of_sequence)])
    cells = np.concatenate([[0], np.cumsum(sequences_per_cell)])
    groups = _blocks(lengths)
    keys = _rectangle(groups, starts, lengths, device)
    read_queries = _rectangle(groups, read_starts, reads_of_sequence, device)
    return PackedBatch(
        tokens=torch.as_tensor(tokens, dtype=torch.long, device=device),
        positions=torch.as_tensor(np.arange(len(tokens)) - np.repeat(starts[:-1], lengths), device=device),
        reads=torch.as_tensor(reads, device=device),
        rows=tuple(int(count) for count in np.diff(starts[cells])),
        read_rows=tuple(int(count) for count in np.diff(read_starts[cells])),
        attention=Attention(_as_blocks(groups, lengths, lengths, device), keys, keys),
        read_attention=Attention(_as_blocks(groups, reads_of_sequence, lengths, device), read_queries, keys),
    )


def _blocks(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
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


def _rectangle(
    groups: list[NDArray[np.int64]], starts: NDArray[np.int64], lengths: NDArray[np.int64], device: torch.device | str
) -> Rectangle:
    rows, real = [], []
    for group in groups:
        columns = np.arange(lengths[group].max())
        inside = columns[None, :] < lengths[group][:, None]
        # Padding repeats a row of its own sequence: what is not finite in one cell must not reach another.
        rows.append((starts[:-1][group][:, None] + np.where(inside, columns[None, :], 0)).reshape(-1))
        real.append(inside.reshape(-1))
    gather, is_real = np.concatenate(rows), np.concatenate(real)
    slots = np.flatnonzero(is_real)
    scatter = np.empty(int(lengths.sum()), dtype=np.int64)
    scatter[gather[slots]] = slots
    padding = None if is_real.all() else torch.as_tensor(~is_real, device=device)
    return Rectangle(torch.as_tensor(gather, device=device), torch.as_tensor(scatter, device=device), padding)


def _as_blocks(
    groups: list[NDArray[np.int64]],
    queries: NDArray[np.int64],
    keys: NDArray[np.int64],
    device: torch.device | str,
) -> tuple[Block, ...]:
    blocks = []
    for group in groups:
        lengths = keys[group]
        mask = None
        if (lengths != lengths[0]).any():
            inside = np.arange(lengths.max())[None, :] < lengths[:, None]
            mask = torch.as_tensor(inside[:, None, None, :], device=device)
        blocks.append(Block(len(group), int(queries[group].max()), int(lengths.max()), mask))
    return tuple(blocks)


class _Gather(torch.autograd.Function):
    """Rows (N, d) to slots (M, d). Every row has exactly one slot, so the backward is a gather too."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Rectangle) -> Tensor:
        ctx.index = index
        return rows.index_select(0, index.gather)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.index.scatter), None


class _Scatter(torch.autograd.Function):
    """Slots (M, d) to rows (N, d). The backward leaves a gradient of exactly zero at padding."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, index: Rectangle) -> Tensor:
        ctx.index = index
        return slots.index_select(0, index.scatter)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        index: Rectangle = ctx.index
        slots = gradient.index_select(0, index.gather)
        if index.padding is not None:
            slots.masked_fill_(index.padding[:, None], 0.0)
        return slots, None


def _gather(rows: Tensor, index: Rectangle) -> Tensor:
    return cast(Tensor, _Gather.apply(rows, index))  # type: ignore[no-untyped-call]


def attend(query: Tensor, key_value: Tensor, layout: Attention, heads: int) -> Tensor:
    """Scaled dot-product attention within each sequence.

    Args:
        query: (Q, d) projected queries: all rows, or the read rows.
        key_value: (N, 2d) projected keys and values of all rows, side by side.

    Returns:
        (Q, d) context of each query row.
    """
    width = query.shape[1]
    query_slots = _gather(query, layout.queries)
    key_slots = _gather(key_value, layout.keys)
    contexts = []
    query_at = key_at = 0
    for block in layout.blocks:
        count, wide, long = block.sequences, block.queries, block.keys
        q = query_slots[query_at : query_at + count * wide].view(count, wide, heads, width // heads).transpose(1, 2)
        pair = key_slots[key_at : key_at + count * long].view(count, long, 2, heads, width // heads)
        k, v = pair[:, :, 0].transpose(1, 2), pair[:, :, 1].transpose(1, 2)
        context = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=block.mask)
        contexts.append(context.transpose(1, 2).reshape(count * wide, width))
        query_at += count * wide
        key_at += count * long
    slots = contexts[0] if len(contexts) == 1 else torch.cat(contexts)
    return cast(Tensor, _Scatter.apply(slots, layout.queries))  # type: ignore[no-untyped-call]
