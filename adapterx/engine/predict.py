"""Scores of trained cells for any number of examples: sorted by length, packed, in one sweep over all languages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.forward_pass import Adapters, ForwardPass, Unadapted
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Batch, HeadRows, placed
from adapterx.engine.options import ROWS
from adapterx.engine.passes import Fetched, Pass, Passes
from adapterx.engine.prefix import PrefixCache
from adapterx.faults import is_out_of_memory
from adapterx.methods.head import Head
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


Reader = Head | Pooling
Observe = Callable[[int, int], None]
"""Hears after every pass of how many examples, and of how many token rows; twice as many where two cells read them."""


def unobserved(examples: int, rows: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class _Active:
    """A cell on the encoder's device."""

    adapters: Adapters
    readers: tuple[Reader, ...]
    tensors: Mapping[str, Tensor]


@torch.no_grad()
def predict(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Head]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None = None,
    rows: int | None = None,
    observe: Observe = unobserved,
) -> list[Scores]:
    """Scores of each cell for the same pools. What lies below the lowest adapter of all, and the frozen products of the
    attention it may sit in, are computed once for them.

    Args:
        cells: with the head of each that is asked; methods may differ.
        prefix: hidden states below the adapters, kept.
        rows: token rows per forward pass, halved whenever memory runs out; a single longer example gets a pass of its
            own.
    """
    if any(slot.method.trains_backbone for cell, _ in cells for slot in cell.slots):
        return [_alone(encoder, cell, head, pools, prefix, rows, observe) for cell, head in cells]
    empty = np.zeros((0, 0), np.float32)
    found: list[Scores] = [[[empty] * len(pool) for pool in pools] for _ in cells]
    asked = [(cell, (head,)) for cell, head in cells]
    for owner, example, scores in _swept(encoder, asked, pools, prefix, rows, observe):
        for cell, (of_cell,) in zip(found, scores, strict=True):
            for at, number, part in zip(owner, example, of_cell, strict=True):
                cell[at][number] = part
    return found


@torch.no_grad()
def embed(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Sequence[Pooling]]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None = None,
    rows: int | None = None,
    observe: Observe = unobserved,
) -> list[list[list[NDArray[np.float32]]]]:
    """By cell, pooling and pool: (n, d), one vector of each of its n examples.

    Args:
        cells: with what is to be read of each, in one pass however much it is. Others as of `predict`.
    """
    if any(slot.method.trains_backbone for cell, _ in cells for slot in cell.slots):
        alone = [(_own_encoder(encoder, cell, prefix), poolings) for cell, poolings in cells]
        return [
            _vectors(own, [(cell, poolings)], pools, kept, rows, observe)[0] for (own, cell, kept), poolings in alone
        ]
    return _vectors(encoder, cells, pools, prefix, rows, observe)


def _vectors(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Sequence[Pooling]]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None,
    rows: int | None,
    observe: Observe,
) -> list[list[list[NDArray[np.float32]]]]:
    found = [
        [[np.zeros((len(pool), encoder.hidden), np.float32) for pool in pools] for _ in poolings]
        for _, poolings in cells
    ]
    for owner, example, scores in _swept(encoder, cells, pools, prefix, rows, observe):
        for cell, of_cell in zip(found, scores, strict=True):
            for reader, of_reader in zip(cell, of_cell, strict=True):
                vectors = np.concatenate(of_reader)
                for at in np.unique(owner):
                    reader[at][example[owner == at]] = vectors[owner == at]
    return found


Swept = list[list[list[NDArray[np.float32]]]]
"""By cell, reader and example."""


def _swept(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Sequence[Reader]]],
    pools: Sequence[Encoded],
    prefix: PrefixCache | None,
    rows: int | None,
    observe: Observe,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Swept]]:
    """Pools and places in them of some examples, and what each cell's readers make of each; all examples, each once."""
    active = [_activate(encoder, cell, readers) for cell, readers in cells]
    depths = _depths(encoder, cells)
    passes = Passes(encoder, pools, prefix, depths.kept, rows or ROWS[encoder.device.type])
    coming: deque[tuple[Pass, Fetched]] = deque()
    for one in passes:
        try:
            coming.append((one, Fetched(_sweep(encoder, active, one.batch, depths, prefix), encoder.device)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not passes.halve(one):
                raise
            continue
        while len(coming) > passes.ahead:
            yield _arrived(active, *coming.popleft(), observe)
    while coming:
        yield _arrived(active, *coming.popleft(), observe)


def _arrived(
    cells: Sequence[_Active], one: Pass, fetched: Fetched, observe: Observe
) -> tuple[NDArray[np.int64], NDArray[np.int64], Swept]:
    """What `_swept` tells of a pass."""
    (group,) = one.batch.cells[0]
    read = [
        [
            by_example(tensor if reader.reduces else reader.units(tensor, group.reads), reader, group)
            for tensor, reader in zip(tensors, cell.readers, strict=True)
        ]
        for tensors, cell in zip(fetched.wait(), cells, strict=True)
    ]
    observe(len(one.owner) * len(cells), one.rows * len(cells))
    return one.owner, one.example, read


@dataclass(frozen=True)
class _Depths:
    """How many layers are computed for all cells of a sweep together."""

    kept: int
    """Below everything that is read, so that a prefix cache may have their states."""
    shared: int
    """Below the adapters, all but the last that is read at most."""


def _depths(encoder: PackedEncoder, cells: Sequence[tuple[TrainedCell, Sequence[Reader]]]) -> _Depths:
    layers = len(encoder.layers)
    read = [_layer(encoder, reader) for _, readers in cells for reader in readers]
    lowest = [lowest_layer(cell.slots, layers) if cell.slots else layers for cell, _ in cells]
    return _Depths(
        kept=max(0, min([*lowest, *(layer - 1 for layer in read)], default=0)),
        shared=max(0, min([*lowest, max(read, default=0) - 1])),
    )


def _layer(encoder: PackedEncoder, reader: Reader) -> int:
    """The layer whose states are read."""
    return reader.layer if isinstance(reader, Pooling) else len(encoder.layers)


def _alone(
    encoder: PackedEncoder,
    cell: TrainedCell,
    head: Head,
    pools: Sequence[Encoded],
    prefix: PrefixCache | None,
    rows: int | None,
    observe: Observe,
) -> Scores:
    """Scores of a cell for itself: one that was trained whole has an encoder of its own."""
    own, cell, kept = _own_encoder(encoder, cell, prefix)
    (scores,) = predict(own, [(cell, head)], pools, kept, rows, observe)
    return scores


def _own_encoder(
    encoder: PackedEncoder, cell: TrainedCell, prefix: PrefixCache | None
) -> tuple[PackedEncoder, TrainedCell, PrefixCache | None]:
    if not cell.slots or not cell.slots[-1].method.trains_backbone:
        return encoder, cell, prefix
    weights = {name: tensor.to(encoder.device) for name, tensor in cell.slots[-1].tensors.items()}
    return encoder.with_weights(weights), replace(cell, slots=()), None


def _activate(encoder: PackedEncoder, cell: TrainedCell, readers: Sequence[Reader]) -> _Active:
    stacked = [
        replace(slot, tensors={name: encoder.send(tensor[None]) for name, tensor in slot.tensors.items()})
        for slot in cell.slots
    ]
    tensors = {name: encoder.send(tensor) for name, tensor in cell.heads.items()}
    return _Active(adapters(stacked, CellDropout(0.0, (0,))), tuple(readers), tensors)


def _sweep(
    encoder: PackedEncoder, cells: Sequence[_Active], batch: Batch, depths: _Depths, prefix: PrefixCache | None
) -> list[list[Tensor]]:
    """What each cell's readers make of the examples of one batch, on the device."""
    if prefix is not None and depths.kept and batch.hidden is None:
        batch = replace(batch, hidden=prefix.hidden(batch, depths.kept))
    batch = placed(batch, encoder.place)
    hidden = batch.hidden
    layers = [sorted({_layer(encoder, reader) for reader in cell.readers}) for cell in cells]
    # An adapter at the embeddings changes what is below every layer.
    low = [[one for one in own if one <= depths.shared] for own in layers]
    low = [[] if cell.adapters.embeds else own for cell, own in zip(cells, low, strict=True)]
    at_depths = encoder.shared_states(batch.packed, {depths.shared}.union(*low), depths.kept, hidden)
    hidden = at_depths[depths.shared]
    unadapted = ForwardPass(batch.packed, Unadapted())
    shared = {layer: unadapted.read(at_depths[layer]) for layer in set[int]().union(*low)}
    del at_depths
    # Where no cell goes further than what is shared, there is nothing to project.
    projected = encoder.project(depths.shared, hidden) if any(own[-1] > depths.shared for own in layers) else None
    (group,) = batch.cells[0]
    scores = []
    for cell, own, below in zip(cells, layers, low, strict=True):
        above = own[len(below) :]
        states = encoder.states(batch.packed, above, cell.adapters, depths.shared, hidden, projected) if above else []
        at = {**{layer: shared[layer] for layer in below}, **dict(zip(above, states, strict=True))}
        scores.append([_read(cell, reader, at[_layer(encoder, reader)], group) for reader in cell.readers])
    return scores


def _read(cell: _Active, reader: Reader, states: Tensor, group: HeadRows) -> Tensor:
    """What a reader makes of the (R, d) states it reads, as far as that is done on the device."""
    scores = reader.scores(cell.tensors, states.float())
    return reader.units(scores, group.reads) if reader.reduces else scores


def by_example(scores: Tensor, head: Reader, group: HeadRows) -> list[NDArray[np.float32]]:
    """The lines of `Head.units` that belong to each example, from a tensor in host memory."""
    units = group.reads.tolist() if isinstance(head, Head) and head.kind.per_read else [1] * len(group.reads)
    return [part.numpy() for part in torch.split(scores, units)]
