"""The longest sequence that cells will ever see, told to attention kernels in place of each batch's own.

A kernel's grid follows from it, so a recorded step has it fixed: with a length per batch, batches of equal shapes need
several recordings. Told too much, a kernel starts blocks that end at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adapterx.backbones.layout import Attention, PackedBatch, SequenceSpans
from adapterx.engine.batches import Batch
from adapterx.engine.cell import TrainingCell
from adapterx.tasks.encoded import Encoded, reads_of

_STEP = 64
"""Told lengths are multiples of this, as those of a batch are (`backbones.layout`)."""


@dataclass(frozen=True)
class Longest:
    """At least what any sequence of some cells has."""

    tokens: int
    reads: int
    """Rows that heads read."""

    @classmethod
    def of(cls, cells: Sequence[TrainingCell]) -> Longest:
        """Of all that these cells train on."""
        tokens, reads = 1, 1
        for cell in cells:
            for place, pool in cell.pools:
                own = int(np.diff(pool.data.sequence_offsets).max(initial=1))
                drawn = (
                    cell.tasks[place].vocabulary is not None
                )  # what is masked, and so read, is drawn with each batch
                tokens, reads = max(tokens, own), max(reads, own if drawn else _reads(pool.data))
        return cls(_up(tokens), _up(reads))

    def told(self, batch: Batch) -> Batch:
        """The batch, whose kernels are told these lengths."""
        return replace(batch, packed=self._packed(batch.packed))

    def _packed(self, packed: PackedBatch) -> PackedBatch:
        expansion = packed.expansion
        return replace(
            packed,
            attention=_longer(packed.attention, (self.tokens, self.tokens)),
            read_attention=_longer(packed.read_attention, (self.reads, self.tokens)),
            expansion=None if expansion is None else replace(expansion, shared=self._packed(expansion.shared)),
        )


def _reads(data: Encoded) -> int:
    return int(reads_of(data, np.arange(len(data.sequence_offsets) - 1)).max(initial=1))


def _longer(attention: Attention, longest: tuple[int, int]) -> Attention:
    return _spans(attention, longest) if isinstance(attention, SequenceSpans) else attention


def _spans(attention: SequenceSpans, longest: tuple[int, int]) -> SequenceSpans:
    """Filler sequences may be longer than any text."""
    queries, keys = map(max, attention.longest, longest)
    short = attention.short
    if short is not None and short.long is not None:
        long = replace(short.long, spans=_spans(short.long.spans, longest))
        short = replace(short, long=long)
    return replace(attention, longest=(queries, keys), short=short)


def _up(number: int) -> int:
    return -(-number // _STEP) * _STEP
