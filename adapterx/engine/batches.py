"""Chosen examples of several cells, and the packed batch that they become (`collate`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.layout import PackedBatch
from adapterx.kernels.tiles import Masks
from adapterx.tasks.encoded import Encoded

Integers = NDArray[np.int64]
B = TypeVar("B")


@dataclass(frozen=True)
class Selection:
    """Examples of one pool, for one head of one cell."""

    head: int
    data: Encoded
    examples: Integers
    weight: float = 1.0
    """Share of each label in the cell's loss."""


@dataclass(frozen=True)
class HeadRows:
    """The rows of a batch that one head of one cell reads."""

    head: int
    start: int
    stop: int
    """Slice of the batch's read rows."""
    reads: Tensor
    """(n,) rows read for each example."""
    labels: Tensor
    """(labels,) gold, one per example or per word, or two per window."""
    weights: Tensor
    """(labels,) share of each label in the cell's loss."""
    windows: Tensor
    """(s,) rows read in each sequence."""


@dataclass(frozen=True)
class AlignedRows:
    """Labels of cells that were padded to equally many read rows, where each cell uses one head."""

    labels: Tensor
    """(K, U) gold, 0 at padding; a cell has as many as its read rows make."""
    weights: Tensor
    """(K, U) share of each label in its cell's loss, 0 at padding."""
    choices: tuple[int, ...]
    """Of each cell, read rows per label; 0 where it has no label in the batch."""
    gather: Tensor | None = None
    """(K, U) each cell's read rows among all, its last one again at padding; None where they lie as they should."""


@dataclass(frozen=True)
class Source:
    """Tokens of shared rows, by where they stand in their pool."""

    data: Encoded
    examples: Integers
    tokens: Integers
    """Indices into the pool's tokens."""
    start: int
    """The first of those rows."""


@dataclass(frozen=True)
class Batch:
    """What one step computes."""

    packed: PackedBatch
    cells: tuple[tuple[HeadRows, ...], ...]
    """Of each cell, the rows of each head it uses in this batch."""
    examples: tuple[int, ...]
    """Of each cell."""
    tokens: tuple[int, ...]
    """Token rows of each cell, padding apart."""
    reads: tuple[int, ...]
    """Read rows of each cell, padding apart."""
    sources: tuple[Source, ...]
    """Where the shared rows come from."""
    aligned: AlignedRows | None = None
    hidden: Tensor | None = None
    """(shared rows, d) hidden states below the lowest adapter, where they are known."""
    masks: Masks | None = None
    """Of dropout, where a kernel counts them."""

    def tensors(self) -> Iterator[Tensor]:
        """What a step reads of an aligned batch, always in the same order."""
        yield from self.packed.tensors()
        if self.aligned is not None:
            yield from (self.aligned.labels, self.aligned.weights)
            if self.aligned.gather is not None:
                yield self.aligned.gather
        if self.hidden is not None:
            yield self.hidden
        if self.masks is not None:
            yield from (self.masks.keys, self.masks.firsts)


def weighed(selections: Sequence[Selection]) -> list[Selection]:
    """The selections of a cell, by head, with the weights of its loss: the mean over its examples.

    Each task's own mean, over its labels, weighs by the task's share of the examples.
    """
    total = sum(len(selection.examples) for selection in selections)
    examples: dict[int, int] = {}
    labels: dict[int, int] = {}
    for selection in selections:
        counts = selection.data.example_labels
        head, chosen = selection.head, selection.examples
        examples[head] = examples.get(head, 0) + len(chosen)
        labels[head] = labels.get(head, 0) + int((counts[chosen + 1] - counts[chosen]).sum())
    weights = {head: examples[head] / total / labels[head] for head in examples}
    ordered = sorted(selections, key=lambda selection: selection.head)
    return [replace(selection, weight=weights[selection.head]) for selection in ordered]


def cut(selections: Sequence[Selection], parts: int) -> list[list[Selection]]:
    """The selections of a cell in so many parts with nearly equally many examples, in order; some may be empty."""
    sizes = [len(selection.examples) for selection in selections]
    bounds = [sum(sizes) * part // parts for part in range(parts + 1)]
    found: list[list[Selection]] = [[] for _ in range(parts)]
    start = 0
    for selection, size in zip(selections, sizes, strict=True):
        for part, (low, high) in enumerate(pairwise(bounds)):
            chosen = selection.examples[max(0, low - start) : max(0, high - start)]
            if len(chosen):
                found[part].append(replace(selection, examples=chosen))
        start += size
    return found


def placed(batch: B, place: Callable[[Tensor], Tensor]) -> B:
    """A batch, or a part of one, with every tensor moved to a device.

    Args:
        place: moves one tensor.
    """
    return cast(B, _placed(batch, place))


def _placed(value: object, place: Callable[[Tensor], Tensor]) -> object:
    if isinstance(value, Tensor):
        return place(value)
    if isinstance(value, tuple):
        return tuple(_placed(item, place) for item in value)
    if is_dataclass(value) and not isinstance(value, type | Source):
        return replace(value, **{field.name: _placed(getattr(value, field.name), place) for field in fields(value)})
    return value
