"""Scores of trained cells for any number of examples: sorted by length, packed, in one sweep over all languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.packed import Adapters, PackedEncoder
from adapterx.engine.batches import Batch, HeadRows, Selection, placed
from adapterx.engine.collate import collate
from adapterx.engine.options import ROWS
from adapterx.engine.prefix import PrefixCache
from adapterx.faults import is_out_of_memory
from adapterx.methods.config import Full
from adapterx.methods.head import LINEAR, Head
from adapterx.methods.method import Slot, adapters, lowest_layer
from adapterx.methods.pooling import Pooling
from adapterx.methods.rows import CellDropout
from adapterx.tasks.encoded import Encoded

Scores = list[list[NDArray[np.float32]]]
"""By pool and example: (labels of the example, classes); of extractive QA (its reads, 2)."""


@dataclass(frozen=True)
class TrainedCell:
    """The tensors of one cell.

    `slots` are its adapters, the lowest first; `heads` holds the tensors of its heads.
    """

    slots: tuple[Slot, ...]
    heads: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Active:
    """A cell on the encoder's device."""

    adapters: Adapters
    head: Head | Pooling
    tensors: Mapping[str, Tensor]


@torch.no_grad()
def predict(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Head]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None = None,
    rows: int | None = None,
) -> list[Scores]:
    """Scores of each cell for the same pools. What lies below the lowest adapter of all, and the frozen products of the
    attention it may sit in, are computed once for them.

    Args:
        cells: with the head of each that is asked; methods may differ.
        prefix: hidden states below the adapters, kept.
        rows: token rows per forward pass, halved whenever memory runs out; a single longer example gets a pass of its
            own.
    """
    if any(isinstance(slot.method, Full) for cell, _ in cells for slot in cell.slots):
        return [_alone(encoder, cell, head, pools, prefix, rows) for cell, head in cells]
    empty = np.zeros((0, 0), np.float32)
    found: list[Scores] = [[[empty] * len(pool) for pool in pools] for _ in cells]
    for owner, example, scores in _swept(encoder, cells, pools, prefix, rows):
        for cell, of_cell in zip(found, scores, strict=True):
            for at, number, part in zip(owner, example, of_cell, strict=True):
                cell[at][number] = part
    return found


@torch.no_grad()
def embed(
    encoder: PackedEncoder,
    cells: Sequence[TrainedCell],
    pooling: Pooling,
    pools: Sequence[Encoded],
    prefix: PrefixCache | None = None,
    rows: int | None = None,
) -> list[list[NDArray[np.float32]]]:
    """By cell and pool: (n, d), one vector of each of its n examples. Arguments as of `predict`."""
    if any(isinstance(slot.method, Full) for cell in cells for slot in cell.slots):
        alone = [_own_encoder(encoder, cell, prefix) for cell in cells]
        return [_vectors(own, [(cell, pooling)], pools, kept, rows)[0] for own, cell, kept in alone]
    return _vectors(encoder, [(cell, pooling) for cell in cells], pools, prefix, rows)


def _vectors(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Pooling]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None,
    rows: int | None,
) -> list[list[NDArray[np.float32]]]:
    found = [[np.zeros((len(pool), encoder.hidden), np.float32) for pool in pools] for _ in cells]
    for owner, example, scores in _swept(encoder, cells, pools, prefix, rows):
        for cell, of_cell in zip(found, scores, strict=True):
            vectors = np.concatenate(of_cell)
            for at in np.unique(owner):
                cell[at][example[owner == at]] = vectors[owner == at]
    return found


def _swept(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Head | Pooling]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None,
    rows: int | None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], list[list[NDArray[np.float32]]]]]:
    """Pools and places in them of some examples, and what each cell's reader makes of each; all examples, each once."""
    active = [_activate(encoder, cell, head) for cell, head in cells]
    depth = min((_below(encoder, cell, head) for cell, head in cells), default=0)
    owner, example, size = longest_first(pools)
    start, limit = 0, rows or ROWS[encoder.device.type]
    while start < len(size):
        stop = start + _fitting(size[start : start + limit], limit)
        chosen = np.arange(start, stop)[np.argsort(owner[start:stop], kind="stable")]
        selections = [Selection(0, pools[at], example[chosen[owner[chosen] == at]]) for at in np.unique(owner[chosen])]
        try:
            scores = _sweep(encoder, active, collate([selections], encoder.spans), depth, prefix)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or len(chosen) == 1:
                raise
            limit = max(1, int(size[start:stop].sum()) // 2)
            continue
        yield owner[chosen], example[chosen], scores
        start = stop


def _below(encoder: PackedEncoder, cell: TrainedCell, head: Head | Pooling) -> int:
    """How many layers may be computed once for all: those below the adapters, all but the last that is read at most."""
    layers = len(encoder.layers)
    top = head.layer if isinstance(head, Pooling) else layers
    lowest = lowest_layer(cell.slots, layers) if cell.slots else layers
    return max(0, min(lowest, top - 1))


def _alone(
    encoder: PackedEncoder,
    cell: TrainedCell,
    head: Head,
    pools: Sequence[Encoded],
    prefix: PrefixCache | None,
    rows: int | None,
) -> Scores:
    """Scores of a cell for itself: one that was trained whole has an encoder of its own."""
    own, cell, kept = _own_encoder(encoder, cell, prefix)
    (scores,) = predict(own, [(cell, head)], pools, kept, rows)
    return scores


def _own_encoder(
    encoder: PackedEncoder, cell: TrainedCell, prefix: PrefixCache | None
) -> tuple[PackedEncoder, TrainedCell, PrefixCache | None]:
    if not cell.slots or not isinstance(cell.slots[-1].method, Full):
        return encoder, cell, prefix
    weights = {name: tensor.to(encoder.device) for name, tensor in cell.slots[-1].tensors.items()}
    return encoder.with_weights(weights), replace(cell, slots=()), None


def longest_first(pools: Sequence[Encoded]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pool, place in the pool and token rows of every example."""
    sizes = [np.diff(pool.sequence_offsets[pool.example_sequences]) for pool in pools]
    size = np.concatenate([np.zeros(0, np.int64), *sizes])
    owner = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    example = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(pool)) for pool in pools)])
    order = np.argsort(-size, kind="stable")
    return owner[order], example[order], size[order]


def _fitting(sizes: NDArray[np.int64], limit: int) -> int:
    """How many of the first sizes sum to at most `limit`; at least one."""
    return max(1, int(np.searchsorted(np.cumsum(sizes), limit, side="right")))


def _activate(encoder: PackedEncoder, cell: TrainedCell, head: Head | Pooling) -> _Active:
    stacked = [
        replace(slot, tensors={name: tensor[None].to(encoder.device) for name, tensor in slot.tensors.items()})
        for slot in cell.slots
    ]
    tensors = {name: tensor.to(encoder.device) for name, tensor in cell.heads.items()}
    return _Active(adapters(stacked, CellDropout(0.0, (0,))), head, tensors)


def _sweep(
    encoder: PackedEncoder, cells: Sequence[_Active], batch: Batch, depth: int, prefix: PrefixCache | None
) -> list[list[NDArray[np.float32]]]:
    """Scores of each cell for the examples of one batch."""
    hidden = prefix.hidden(batch, depth) if prefix is not None and depth else None
    batch = placed(batch, encoder.place)
    hidden = encoder.below(batch.packed, depth) if hidden is None else encoder.place(hidden)
    (group,) = batch.cells[0]
    layers = max((cell.head.layer for cell in cells if isinstance(cell.head, Pooling)), default=None)
    projected = None if layers == depth else encoder.project(depth, hidden)
    scores = []
    for cell in cells:
        states = encoder(batch.packed, cell.adapters, depth, hidden, projected, layers).float()
        scores.append(cell.head.units(cell.head.scores(cell.tensors, states), group.reads))
    # Only now the host waits, once for all cells.
    return [by_example(one.cpu(), cell.head, group) for one, cell in zip(scores, cells, strict=True)]


def by_example(scores: Tensor, head: Head | Pooling, group: HeadRows) -> list[NDArray[np.float32]]:
    """The lines of `Head.units` that belong to each example, from a tensor in host memory."""
    units = group.reads.tolist() if isinstance(head, Head) and head.format in LINEAR else [1] * len(group.reads)
    return [part.numpy() for part in torch.split(scores, units)]
