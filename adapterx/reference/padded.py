"""Chosen examples as padded batches, straight from the encoded arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from adapterx.engine.batches import HeadRows, Selection
from adapterx.tasks.encoded import Encoded, reads_of


@dataclass(frozen=True)
class PaddedBatch:
    """S sequences of T tokens, and the R states that heads read."""

    tokens: Tensor
    """(S, T) int64."""
    mask: Tensor
    """(S, T) int64, 1 where there is a token."""
    sequences: Tensor
    """(R,) sequence of each state read."""
    positions: Tensor
    """(R,) its place in the sequence."""
    heads: tuple[HeadRows, ...]
    """Head by head, which of the R states are its own, with gold labels."""

    @property
    def rows(self) -> int:
        """Real tokens."""
        return int(self.mask.sum())


def padded(selections: Sequence[Selection], pad: int) -> PaddedBatch:
    """The selections of one training, those of one head together.

    Args:
        pad: the id that fills sequences up.
    """
    texts: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
    reads: list[tuple[int, int]] = []
    heads = []
    for head in dict.fromkeys(selection.head for selection in selections):
        start, of_example = len(reads), []
        labels: list[int] = []
        weights: list[float] = []
        windows: list[int] = []
        for selection in selections:
            if selection.head != head:
                continue
            for example in selection.examples:
                before = len(reads)
                reads += _read(selection.data, int(example), len(texts))
                texts += _texts(selection.data, int(example))
                of_example.append(len(reads) - before)
                windows += reads_of(selection.data, np.arange(*_bounds(selection.data, int(example)))).tolist()
                own = _labels(selection.data, int(example))
                labels += own
                weights += [selection.weight] * len(own)
        counts = (torch.tensor(of_example), torch.tensor(labels), torch.tensor(weights, dtype=torch.float32))
        heads.append(HeadRows(head, start, len(reads), *counts, torch.tensor(windows)))
    tokens = torch.full((len(texts), max(map(len, texts))), pad)
    mask = torch.zeros_like(tokens)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.from_numpy(text.astype(np.int64))
        mask[row, : len(text)] = 1
    sequences, positions = torch.tensor(reads).T
    return PaddedBatch(tokens, mask, sequences, positions, tuple(heads))


def _texts(data: Encoded, example: int) -> list[np.ndarray[tuple[int], np.dtype[np.int32]]]:
    """The sequences of an example."""
    bounds = data.sequence_offsets[_sequences(data, example)]
    return [data.tokens[start:stop] for start, stop in pairwise(bounds)]


def _sequences(data: Encoded, example: int) -> slice:
    """Where the bounds of an example's sequences stand."""
    first, last = _bounds(data, example)
    return slice(first, last + 1)


def _bounds(data: Encoded, example: int) -> tuple[int, int]:
    """The first sequence of an example, and the one after its last."""
    return int(data.example_sequences[example]), int(data.example_sequences[example + 1])


def _read(data: Encoded, example: int, first: int) -> list[tuple[int, int]]:
    """Sequence and position of what is read of an example whose first sequence is the batch's `first`."""
    bounds = data.sequence_offsets[_sequences(data, example)]
    tokens = data.read_tokens[data.example_reads[example] : data.example_reads[example + 1]]
    rows = np.searchsorted(bounds, tokens, side="right") - 1
    return [(first + int(row), int(token - bounds[row])) for row, token in zip(rows, tokens, strict=True)]


def _labels(data: Encoded, example: int) -> list[int]:
    return [int(one) for one in data.labels[data.example_labels[example] : data.example_labels[example + 1]]]
