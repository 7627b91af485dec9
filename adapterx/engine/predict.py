"""Scores of a trained cell for any number of examples: sorted by length, packed, in one sweep over all languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Selection, collate
from adapterx.methods.config import Method
from adapterx.methods.head import Head
from adapterx.methods.method import adapters
from adapterx.methods.rows import CellDropout
from adapterx.tasks.encoded import Encoded

ROWS = {"cpu": 2048, "cuda": 32768}
"""Token rows of one forward pass: enough to fill the machine, few enough to stay in its caches."""


@dataclass(frozen=True)
class TrainedCell:
    """The tensors of one cell.

    `slots` are its adapters, the lowest first; `heads` holds the tensors of its heads.
    """

    method: Method
    slots: tuple[Mapping[str, Tensor], ...]
    heads: Mapping[str, Tensor]


@torch.no_grad()
def predict(
    encoder: PackedEncoder, cell: TrainedCell, head: Head, pools: Sequence[Encoded], rows: int | None = None
) -> list[list[NDArray[np.float32]]]:
    """For each pool and each of its examples, scores of shape (labels of the example, classes).

    Args:
        rows: token rows per forward pass; a single longer example gets a pass of its own.
    """
    device = encoder.device
    stacked = [{name: tensor[None].to(device) for name, tensor in slot.items()} for slot in cell.slots]
    active = adapters(cell.method, stacked, CellDropout(0.0, (0,)))
    heads = {name: tensor.to(device) for name, tensor in cell.heads.items()}
    lengths = [pool.sequence_offsets[pool.example_sequences] for pool in pools]
    size = np.concatenate([np.diff(ends) for ends in lengths]) if pools else np.zeros(0, np.int64)
    owner = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    example = np.concatenate([np.arange(len(pool)) for pool in pools]) if pools else np.zeros(0, np.int64)
    found: list[list[NDArray[np.float32]]] = [[np.zeros((0, 0), np.float32)] * len(pool) for pool in pools]
    order = np.argsort(-size, kind="stable")
    for chunk in _chunks(size[order], rows or ROWS[device.type]):
        chosen = order[chunk]
        chosen = chosen[np.argsort(owner[chosen], kind="stable")]
        selections = [Selection(0, pools[at], example[chosen[owner[chosen] == at]]) for at in np.unique(owner[chosen])]
        batch = collate([selections], device)
        (group,) = batch.cells[0]
        scores = head.units(head.scores(heads, encoder(batch.packed, active).float()), group.reads)
        units = [int(n) for n in group.reads] if head.format == "tagging" else [1] * group.examples
        for at, part in zip(chosen, torch.split(scores.cpu(), units), strict=True):
            found[owner[at]][example[at]] = part.numpy()
    return found


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
