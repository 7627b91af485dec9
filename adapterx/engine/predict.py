"""Scores of trained cells for any number of examples: sorted by length, packed, in one sweep over all languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.packed import Adapters, PackedEncoder
from adapterx.engine.batches import Batch, HeadRows, Selection, placed
from adapterx.engine.collate import collate
from adapterx.engine.memory import is_out_of_memory
from adapterx.engine.options import ROWS
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.config import Method, adapted_layers
from adapterx.methods.head import Head
from adapterx.methods.method import adapters
from adapterx.methods.rows import CellDropout
from adapterx.tasks.encoded import Encoded

Scores = list[list[NDArray[np.float32]]]
"""By pool and example: (labels of the example, classes)."""


@dataclass(frozen=True)
class TrainedCell:
    """The tensors of one cell.

    `slots` are its adapters, the lowest first; `heads` holds the tensors of its heads.
    """

    method: Method
    slots: tuple[Mapping[str, Tensor], ...]
    heads: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Active:
    """A cell on the encoder's device."""

    adapters: Adapters
    head: Head
    tensors: Mapping[str, Tensor]


@torch.no_grad()
def predict(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Head]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None = None,
    rows: int | None = None,
) -> list[Scores]:
    """Scores of each cell for the same pools. What lies below the lowest adapter of all is computed once for them.

    Args:
        cells: with the head of each that is asked; methods may differ.
        prefix: hidden states below the adapters, kept.
        rows: token rows per forward pass, fewer where memory does not suffice; a single longer example gets a pass of
            its own.
    """
    active = [_activate(encoder, cell, head) for cell, head in cells]
    depth = min((adapted_layers(cell.method.layers, len(encoder.layers))[0] for cell, _ in cells), default=0)
    lengths = [pool.sequence_offsets[pool.example_sequences] for pool in pools]
    size = np.concatenate([np.diff(ends) for ends in lengths]) if pools else np.zeros(0, np.int64)
    owner = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    example = np.concatenate([np.arange(len(pool)) for pool in pools]) if pools else np.zeros(0, np.int64)
    empty = np.zeros((0, 0), np.float32)
    found: list[Scores] = [[[empty] * len(pool) for pool in pools] for _ in cells]
    order = np.argsort(-size, kind="stable")
    chunks = [order[chunk] for chunk in reversed(_chunks(size[order], rows or ROWS[encoder.device.type]))]
    while chunks:
        chosen = chunks.pop()
        chosen = chosen[np.argsort(owner[chosen], kind="stable")]
        selections = [Selection(0, pools[at], example[chosen[owner[chosen] == at]]) for at in np.unique(owner[chosen])]
        try:
            swept = _sweep(encoder, active, collate([selections], encoder.spans), depth, prefix)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or len(chosen) == 1:
                raise
            swept = None
        if swept is None:  # not in the handler: until it is left, the error holds on to what the sweep had in memory
            chunks += np.array_split(chosen, 2)
            continue
        for cell, scores in zip(found, swept, strict=True):
            for at, part in zip(chosen, scores, strict=True):
                cell[owner[at]][example[at]] = part
    return found


def _activate(encoder: PackedEncoder, cell: TrainedCell, head: Head) -> _Active:
    stacked = [{name: tensor[None].to(encoder.device) for name, tensor in slot.items()} for slot in cell.slots]
    tensors = {name: tensor.to(encoder.device) for name, tensor in cell.heads.items()}
    return _Active(adapters(cell.method, stacked, CellDropout(0.0, (0,))), head, tensors)


def _sweep(
    encoder: PackedEncoder, cells: Sequence[_Active], batch: Batch, depth: int, prefix: PrefixCache | None
) -> list[list[NDArray[np.float32]]]:
    """Scores of each cell for the examples of one batch."""
    hidden = prefix.hidden(batch, depth) if prefix is not None and depth else None
    batch = placed(batch, encoder.place)
    hidden = encoder.below(batch.packed, depth) if hidden is None else encoder.place(hidden)
    (group,) = batch.cells[0]
    scores = [
        cell.head.units(
            cell.head.scores(cell.tensors, encoder(batch.packed, cell.adapters, depth, hidden).float()), group.reads
        )
        for cell in cells
    ]
    # Only now the host waits, once for all cells.
    return [_by_example(one.cpu(), cell.head, group) for one, cell in zip(scores, cells, strict=True)]


def _by_example(scores: Tensor, head: Head, group: HeadRows) -> list[NDArray[np.float32]]:
    units = group.reads.tolist() if head.format == "tagging" else [1] * len(group.reads)
    return [part.numpy() for part in torch.split(scores, units)]


def _chunks(sizes: NDArray[np.int64], limit: int) -> list[slice]:
    """Consecutive slices whose sizes sum to at most `limit`, or hold one item."""
    chunks, start, total = [], 0, 0
    for index, size in enumerate(sizes):
        if index > start and total + size > limit:
            chunks.append(slice(start, index))
            start, total = index, 0
        total += int(size)
    if len(sizes):
        chunks.append(slice(start, len(sizes)))
    return chunks
