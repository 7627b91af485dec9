"""From chosen examples of several cells to one packed batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from adapterx.backbones.layout import LIBRARY, Expansion, ForKernels, Sequences, pack
from adapterx.engine.alignment import Counts, Filler, Size, capacity_of, filled, rest_of, size_of, up_reads
from adapterx.engine.batches import AlignedRows, Batch, HeadRows, Integers, Selection, Source
from adapterx.tasks.encoded import reads_of


def collate(
    cells: Sequence[Sequence[Selection]], spans: bool = False, align: bool = False, kernels: ForKernels = LIBRARY
) -> Batch:
    """Pack the selections of each cell, by head, in host memory: the rows that one head reads stand together.

    Cells with the same selections share their rows up to the first adapter.

    Args:
        spans: lay attention out for variable-length kernels.
        align: pad every cell to equally many rows and read rows.
        kernels: what the engine's own kernels are to find; with `ragged`, `align` pads all cells together.
    """
    parts = [[_gather(selection) for selection in selections] for selections in cells]
    distinct: dict[object, int] = {}
    prefix_of = [distinct.setdefault(_content(selections), place) for place, selections in enumerate(cells)]
    firsts = list(distinct.values())
    padding = _Padding.of([_counts(part) for part in parts], align, kernels.ragged)
    laid = padding.laid_out(parts)
    packed, shared_starts = pack(laid.sequences, spans, laid.capacity, kernels), laid.starts
    once_cells, once_parts = [cells[place] for place in firsts], [parts[place] for place in firsts]
    if len(firsts) < len(cells):
        once = padding.laid_out(once_parts)
        shared_starts = once.starts
        expansion = _expansion(laid, once, [firsts.index(place) for place in prefix_of], spans, kernels)
        packed = replace(packed, expansion=expansion)
    rows = tuple(_head_rows(part, laid.read_starts[cell]) for cell, part in enumerate(parts))
    return Batch(
        packed,
        rows,
        examples=tuple(sum(len(item.reads_of_example) for item in part) for part in parts),
        tokens=tuple(sum(len(item.tokens) for item in part) for part in parts),
        reads=tuple(sum(len(item.reads) for item in part) for part in parts),
        sources=tuple(_sources(once_cells, once_parts, shared_starts)),
        aligned=_aligned(parts, padding, laid) if align else None,
    )


@dataclass(frozen=True)
class _Laid:
    """Sequences of cells one after another, and where what is where."""

    sequences: Sequences
    starts: list[int]
    """Each cell's first row; with ragged padding, that of the rest of the filler too."""
    read_starts: list[int]
    rows: list[int]
    """Likewise how many."""
    reads: list[int]
    capacity: int


@dataclass(frozen=True)
class _Padding:
    """How cells are filled up: not at all, each to one size, or all of them together."""

    size: Size | None
    ragged: bool

    @classmethod
    def of(cls, counts: Sequence[Counts], align: bool, ragged: bool) -> _Padding:
        return cls(size_of(counts) if align and not ragged else None, align and ragged)

    def laid_out(self, cells: Sequence[Sequence[_CellPart]]) -> _Laid:
        """The sequences of cells with what fills them up."""
        fillers = [_NOTHING if self.size is None else filled(_counts(parts), self.size) for parts in cells]
        capacity = 0 if self.size is None else self.size.sequences * len(cells)
        if not self.ragged:
            return _laid(cells, fillers, capacity)
        # A head reads something of every cell; a cell without examples has a row of filler.
        nothing, one = Counts(0, 0, 0), Size(1, 1, 1)
        fillers = [filled(nothing, one) if _counts(parts).reads == 0 else _NOTHING for parts in cells]
        counts = [_counts(parts) if _counts(parts).reads else Counts(1, 1, 1) for parts in cells]
        rest = rest_of(counts)
        sequences = sum(count.sequences for count in counts) + rest.sequences
        laid = _laid([*cells, []], [*fillers, filled(nothing, rest)], capacity_of(sequences))
        # The rest belongs to the last cell.
        for numbers in (laid.sequences.per_cell, laid.sequences.read_per_cell):
            assert isinstance(numbers, list)
            last = numbers.pop()
            numbers[-1] += last
        return laid


def _laid(cells: Sequence[Sequence[_CellPart]], fillers: Sequence[Filler], capacity: int) -> _Laid:
    sequences, starts, read_starts = _sequences(cells, fillers)
    ends = (len(sequences.tokens), len(sequences.reads))
    rows, reads = (np.diff([*begins, end]).tolist() for begins, end in zip((starts, read_starts), ends, strict=True))
    return _Laid(sequences, starts, read_starts, rows, reads, capacity)


def _expansion(laid: _Laid, once: _Laid, at: Sequence[int], spans: bool, kernels: ForKernels) -> Expansion:
    """From distinct sequences to those of every cell.

    Args:
        at: the place of each cell's sequences among the distinct ones.
    """
    rows = [np.arange(once.starts[place], once.starts[place] + once.rows[place]) for place in at]
    reads = [np.arange(once.read_starts[place], once.read_starts[place] + once.reads[place]) for place in at]
    if len(laid.starts) > len(at):  # the rest of the filler, any filler's rows
        rows.append(once.starts[-1] + np.arange(laid.rows[-1]) % once.rows[-1])
        reads.append(once.read_starts[-1] + np.arange(laid.reads[-1]) % max(1, once.reads[-1]))
    return Expansion(
        pack(once.sequences, spans, once.capacity, kernels),
        torch.from_numpy(np.concatenate(rows).astype(np.int64)),
        torch.from_numpy(np.concatenate(reads).astype(np.int64)),
    )


def _ragged(starts: Integers, stops: Integers) -> Integers:
    """Indices start … stop - 1 of every slice, one slice after another."""
    lengths = stops - starts
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)


def _content(selections: Sequence[Selection]) -> object:
    """Equal for cells that see the same sequences in the same order."""
    return tuple((id(selection.data), selection.examples.tobytes()) for selection in selections)


@dataclass(frozen=True)
class _CellPart:
    """One selection, laid out."""

    head: int
    index: Integers
    """Of its tokens, in the pool."""
    tokens: NDArray[np.int32]
    lengths: Integers
    reads: Integers
    """Rows read, counted from its first."""
    reads_of_example: Integers
    reads_of_sequence: Integers
    labels: Integers
    weight: float


def _gather(selection: Selection) -> _CellPart:
    data, chosen = selection.data, selection.examples
    first, last = data.example_sequences[chosen], data.example_sequences[chosen + 1]
    # The tokens of an example's sequences are adjacent, so an example is one slice of tokens.
    token_start, token_stop = data.sequence_offsets[first], data.sequence_offsets[last]
    sequences, index = _ragged(first, last), _ragged(token_start, token_stop)
    read_start, read_stop = data.example_reads[chosen], data.example_reads[chosen + 1]
    reads_of_example = read_stop - read_start
    new_start = np.cumsum(token_stop - token_start) - (token_stop - token_start)
    reads = data.read_tokens[_ragged(read_start, read_stop)] + np.repeat(new_start - token_start, reads_of_example)
    return _CellPart(
        head=selection.head,
        index=index,
        tokens=data.tokens[index],
        lengths=data.sequence_offsets[sequences + 1] - data.sequence_offsets[sequences],
        reads=reads,
        reads_of_example=reads_of_example,
        reads_of_sequence=reads_of(data, sequences),
        labels=data.labels[_ragged(data.example_labels[chosen], data.example_labels[chosen + 1])],
        weight=selection.weight,
    )


def _counts(parts: Sequence[_CellPart]) -> Counts:
    return Counts(
        rows=sum(len(part.tokens) for part in parts),
        reads=sum(len(part.reads) for part in parts),
        sequences=sum(len(part.lengths) for part in parts),
    )


_NOTHING = Filler(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))


def _sequences(
    cells: Sequence[Sequence[_CellPart]], fillers: Sequence[Filler]
) -> tuple[Sequences, list[int], list[int]]:
    """The sequences of cells, each followed by its filler; and where each cell's rows and read rows begin."""
    tokens, lengths, reads = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    per_cell, read_per_cell, starts, read_starts = [], [], [], []
    row = read = 0
    for parts, filler in zip(cells, fillers, strict=True):
        starts.append(row)
        read_starts.append(read)
        pieces = [(part.tokens, part.lengths, part.reads) for part in parts]
        pieces.append((filler.tokens, filler.lengths, filler.reads))
        for piece_tokens, piece_lengths, piece_reads in pieces:
            tokens.append(piece_tokens)
            lengths.append(piece_lengths)
            reads.append(piece_reads + row)
            row += len(piece_tokens)
            read += len(piece_reads)
        per_cell.append(sum(len(piece[1]) for piece in pieces))
        read_per_cell.append(read - read_starts[-1])
    together = Sequences(
        np.concatenate(tokens), np.concatenate(lengths), np.concatenate(reads), per_cell, read_per_cell
    )
    return together, starts, read_starts


def _head_rows(parts: Sequence[_CellPart], start: int) -> tuple[HeadRows, ...]:
    """The rows of each head of a cell whose read rows begin at `start`."""
    found = []
    for head in dict.fromkeys(part.head for part in parts):
        own = [part for part in parts if part.head == head]
        stop = start + sum(len(part.reads) for part in own)
        reads = np.concatenate([part.reads_of_example for part in own])
        labels = np.concatenate([part.labels for part in own])
        weights = np.concatenate([np.full(len(part.labels), part.weight, np.float32) for part in own])
        windows = np.concatenate([part.reads_of_sequence for part in own])
        tensors = (torch.from_numpy(array) for array in (reads, labels, weights, windows))
        found.append(HeadRows(head, start, stop, *tensors))
        start = stop
    return tuple(found)


def _sources(
    cells: Sequence[Sequence[Selection]], parts: Sequence[Sequence[_CellPart]], starts: Sequence[int]
) -> Iterator[Source]:
    for selections, own, start in zip(cells, parts, starts[: len(cells)], strict=True):
        at = start
        for selection, part in zip(selections, own, strict=True):
            yield Source(selection.data, selection.examples, part.index, at)
            at += len(part.index)


def _aligned(cells: Sequence[Sequence[_CellPart]], padding: _Padding, laid: _Laid) -> AlignedRows | None:
    """Labels of padded cells; None where a cell uses several heads, or examples have different numbers of choices."""
    most = up_reads(max(laid.reads[: len(cells)])) if padding.size is None else padding.size.reads
    labels = np.zeros((len(cells), most), np.int64)
    weights = np.zeros((len(cells), most), np.float32)
    choices = []
    for cell, parts in enumerate(cells):
        if not parts:
            choices.append(0)
            continue
        reads = np.concatenate([part.reads_of_example for part in parts])
        count = sum(len(part.labels) for part in parts)
        per_label = 1 if count == reads.sum() else int(reads[0])
        uneven = (per_label > 1 and (reads != per_label).any()) or count > reads.sum()
        if len({part.head for part in parts}) > 1 or uneven:
            return None
        labels[cell, :count] = np.concatenate([part.labels for part in parts])
        weights[cell, :count] = np.concatenate([np.full(len(part.labels), part.weight) for part in parts])
        choices.append(per_label)
    gather = None
    if padding.ragged:
        places = zip(laid.read_starts, laid.reads[: len(cells)], strict=False)
        gather = torch.from_numpy(np.stack([start + np.minimum(np.arange(most), count - 1) for start, count in places]))
    return AlignedRows(torch.from_numpy(labels), torch.from_numpy(weights), tuple(choices), gather)
