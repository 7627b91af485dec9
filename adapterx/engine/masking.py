"""Masked tokens to be guessed, drawn anew for every step (Devlin et al. 2019, arXiv 1810.04805, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, offsets

SHARE = 0.15
"""Of the tokens, those to be guessed."""
_MASKED, _REPLACED = 0.8, 0.1
"""Of those to be guessed: they become the mask, or another token; the rest stay."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What masking knows of a tokenizer."""

    size: int
    mask: int
    special: tuple[int, ...]
    """Never guessed, and never put in another token's place; `mask` is one of them."""

    @cached_property
    def ordinary(self) -> NDArray[np.int64]:
        return np.setdiff1d(np.arange(self.size), np.array(self.special))


def masked(data: Encoded, chosen: NDArray[np.int64], vocabulary: Vocabulary, seed: int) -> Encoded:
    """The chosen examples of a text, with tokens masked, reads where they are, and the tokens themselves as labels.

    A function of the examples and the seed. Every sequence has at least one token to guess, be it a special
    one where it has no other.

    Args:
        data: examples of one sequence each, without reads.
    """
    starts, stops = data.sequence_offsets[chosen], data.sequence_offsets[chosen + 1]
    lengths = stops - starts
    bounds = offsets(lengths)
    row = np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], lengths)
    tokens = data.tokens[row]
    draws = np.random.default_rng(seed)
    guess = draws.random(len(tokens)) + 2.0 * np.isin(tokens, vocabulary.special)
    lowest = np.minimum.reduceat(guess, bounds[:-1]) if len(chosen) else guess
    reads = np.flatnonzero((guess < SHARE) | (guess == np.repeat(lowest, lengths)))
    fate = draws.random(len(reads))
    other = vocabulary.ordinary[draws.integers(len(vocabulary.ordinary), size=len(reads))]
    labels = tokens[reads].astype(np.int64)
    hidden = np.where(fate < _MASKED, vocabulary.mask, np.where(fate < _MASKED + _REPLACED, other, labels))
    shown = tokens.copy()
    shown[reads] = hidden
    per_example = offsets(np.bincount(np.searchsorted(bounds, reads, side="right") - 1, minlength=len(chosen)))
    return Encoded(
        ids=[data.ids[place] for place in chosen.tolist()],
        tokens=shown,
        sequence_offsets=bounds,
        example_sequences=np.arange(len(chosen) + 1, dtype=np.int64),
        read_tokens=reads,
        example_reads=per_example,
        labels=labels,
        example_labels=per_example,
    )
