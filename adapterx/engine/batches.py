"""From chosen examples of several cells to one packed batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.layout import PackedBatch, pack
from adapterx.tasks.encoded import Encoded

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """Examples of one pool, for one head of one cell."""

    head: int
    data: Encoded
    examples: Integers


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
    """(labels,) gold, one per example or per word."""

    @property
    def examples(self) -> int:
        return len(self.reads)


@dataclass(frozen=True)
class Batch:
    """What one step computes."""

    packed: PackedBatch
    cells: tuple[tuple[HeadRows, ...], ...]
    """Of each cell, the rows of each head it uses in this batch."""


def ragged(starts: Integers, stops: Integers) -> Integers:
    """Indices start … stop - 1 of every slice, one slice after another."""
    lengths = stops - starts
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)


def collate(cells: Sequence[Sequence[Selection]], device: torch.device | str = "cpu") -> Batch:
    """Pack the selections of each cell. Selections of the same head stand together in the rows that are read."""
    tokens, lengths, reads, counts, rows = [], [], [], [], []
    token_at = read_at = 0
    for selections in cells:
        sequences = 0
        groups: dict[int, list[tuple[int, Integers, Integers]]] = {}
        for selection in sorted(selections, key=lambda selection: selection.head):
            part = _gather(selection)
            tokens.append(part.tokens)
            lengths.append(part.lengths)
            reads.append(part.reads + token_at)
            groups.setdefault(selection.head, []).append((len(part.reads), part.reads_of_example, part.labels))
            token_at += len(part.tokens)
            sequences += len(part.lengths)
        counts.append(sequences)
        found = []
        for head, parts in groups.items():
            stop = read_at + sum(count for count, _, _ in parts)
            per_example = torch.as_tensor(np.concatenate([item for _, item, _ in parts]), device=device)
            labels = torch.as_tensor(np.concatenate([item for _, _, item in parts]), device=device)
            found.append(HeadRows(head, read_at, stop, per_example, labels))
            read_at = stop
        rows.append(tuple(found))
    packed = pack(np.concatenate(tokens), np.concatenate(lengths), np.concatenate(reads), counts, device)
    return Batch(packed, tuple(rows))


@dataclass(frozen=True)
class _Part:
    tokens: NDArray[np.int32]
    lengths: Integers
    reads: Integers
    reads_of_example: Integers
    labels: Integers


def _gather(selection: Selection) -> _Part:
    data, chosen = selection.data, selection.examples
    first, last = data.example_sequences[chosen], data.example_sequences[chosen + 1]
    # The tokens of an example's sequences are adjacent, so an example is one slice of tokens.
    token_start, token_stop = data.sequence_offsets[first], data.sequence_offsets[last]
    sequences = ragged(first, last)
    read_start, read_stop = data.example_reads[chosen], data.example_reads[chosen + 1]
    reads_of_example = read_stop - read_start
    new_start = np.cumsum(token_stop - token_start) - (token_stop - token_start)
    reads = data.read_tokens[ragged(read_start, read_stop)] + np.repeat(new_start - token_start, reads_of_example)
    return _Part(
        tokens=data.tokens[ragged(token_start, token_stop)],
        lengths=data.sequence_offsets[sequences + 1] - data.sequence_offsets[sequences],
        reads=reads,
        reads_of_example=reads_of_example,
        labels=data.labels[ragged(data.example_labels[chosen], data.example_labels[chosen + 1])],
    )
