"""How long the sequences of a task are, and what the largest batch of a training comes to.

Batches are drawn anew at every step, so the memory of a training is that of its largest batch: of so many steps the
expected maximum, with sums of lengths taken as normally distributed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.blocks import grouped
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind

QUANTILES = 100
"""Lengths that are kept of a distribution."""


@dataclass(frozen=True)
class Drawn:
    """The largest batch, in tokens and otherwise."""

    sequences: int
    rows: int
    slots: int
    """Rows with the padding within attention's rectangles."""
    longest: int
    reads: int
    """Rows that heads read."""


@dataclass(frozen=True)
class TextLengths:
    """Sequences of the examples of a task."""

    quantiles: tuple[int, ...]
    """Tokens, ascending, each as likely."""
    per_example: float = 1.0
    """Sequences of an example."""
    read: float = 0.0
    """Share of the tokens that heads read, at least one of each sequence."""
    told: bool = False
    """Whether they are those of the data, not of what the task says of them."""

    def drawn(self, examples: float, steps: float = 1.0, spans: bool = False) -> Drawn:
        """The largest of so many batches of so many examples.

        Args:
            examples: of all cells together.
            spans: whether attention takes rows without padding.
        """
        count = max(1, round(examples * self.per_example))
        lengths = self._largest(count, steps)
        rows = int(lengths.sum())
        slots = rows if spans else sum(len(block) * int(lengths[block].max()) for block in grouped(lengths))
        return Drawn(count, rows, slots, int(lengths.max()), min(rows, max(count, round(self.read * rows))))

    def longest_first(self, rows: int) -> Drawn:
        """The first pass of an evaluation, which reads sequences from the longest down, up to so many token rows."""
        longest = self.quantiles[-1]
        count = max(1, rows // longest)
        taken = max(math.ceil(self.per_example), count) * longest
        return Drawn(taken // longest, taken, taken, longest, min(taken, max(count, round(self.read * taken))))

    def _largest(self, count: int, steps: float) -> NDArray[np.int64]:
        """Lengths of the sequences of the largest batch: those of a typical one, each longer by the same share."""
        known = np.array(self.quantiles, np.float64)
        typical = known[((np.arange(count) + 0.5) / count * len(known)).astype(int)]
        # The expected largest of so many normal numbers (Blom 1958).
        beyond = NormalDist().inv_cdf((max(1.0, steps) - 0.375) / (max(1.0, steps) + 0.25)) if steps > 1 else 0.0
        total = count * known.mean() + beyond * known.std() * math.sqrt(count)
        scaled = np.rint(typical * total / typical.sum())
        found: NDArray[np.int64] = np.clip(scaled, 1, known[-1]).astype(np.int64)
        return found


def stated(part: TaskPart, max_length: int) -> TextLengths:
    """By the typical length that a task states: lengths around it, from half of it to half more, cut at the longest."""
    of = kind(part.format)
    typical = min(part.tokens, max_length)
    per_example = of.tokens(part.tokens, max_length, len(part.labels)) / typical
    spread = typical * (0.5 + (np.arange(QUANTILES) + 0.5) / QUANTILES)
    if part.tokens > max_length:  # windows, which are full
        spread = np.full(QUANTILES, typical)
    quantiles = np.clip(np.rint(spread), 1, max_length).astype(int)
    return TextLengths(tuple(quantiles.tolist()), per_example, of.read_share(typical))


def measured(lengths: NDArray[np.int64], examples: int, reads: int) -> TextLengths:
    """Of sequences whose lengths are known, in so many examples that are read at so many tokens."""
    places = ((np.arange(QUANTILES) + 0.5) / QUANTILES * len(lengths)).astype(int)
    ordered = np.sort(lengths)
    quantiles = (*ordered[places[:-1]].tolist(), int(ordered[-1]))
    return TextLengths(quantiles, len(lengths) / max(1, examples), reads / max(1, int(lengths.sum())), told=True)


def widest(every: Sequence[TextLengths]) -> TextLengths:
    """Those with the most tokens to an example."""
    return max(every, key=lambda one: sum(one.quantiles) * one.per_example)
