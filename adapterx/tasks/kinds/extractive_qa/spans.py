"""From the scores of every token as first or last one to answers in words.

As `run_qa.py` of `transformers` chooses: in every window the 20 best first and the 20 best last tokens are paired, a
pair spans 1 to 30 tokens, and the pair with the highest sum in any window is the answer. Unlike there, tokens of the
question are no candidates, so they take no place among the 20. XTREME's scripts choose so too, but count a token only
in the window that shows most of its surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, offsets, reads_of

BEST = 20
"""Candidates for the first token of an answer, and for the last one, in each window."""
LONGEST = 30
"""Tokens of an answer at most."""
_WINDOWS = 512  # decoded at a time

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Spans:
    """The best answer to each of n questions."""

    characters: NDArray[np.int64]
    """(n, 2) slice of the passage."""
    score: Scores
    """(n,) sum of the scores of its first and last token; -inf where no pair is possible."""
    none: Scores
    """(n,) the same of <s>, the score of there being no answer: the lowest of all windows."""


def best(data: Encoded, scores: Sequence[Scores]) -> Spans:
    """The best answers.

    Args:
        data: n examples of extractive QA.
        scores: of each, (its reads, 2) as first and as last token.
    """
    assert data.passages is not None, "only extractive QA is answered by spans"
    count = len(data.sequence_offsets) - 1
    bounds = offsets(reads_of(data, np.arange(count)))
    flat = np.concatenate([np.zeros((0, 2), np.float32), *scores])
    score, none = np.zeros(count, np.float32), np.zeros(count, np.float32)
    reads = np.zeros((count, 2), np.int64)
    for start in range(0, count, _WINDOWS):
        stop = min(start + _WINDOWS, count)
        part = flat[bounds[start] : bounds[stop]]
        found = in_windows(part, np.diff(bounds[start : stop + 1]))
        reads[start:stop] = found[0] + bounds[start:stop, None]
        score[start:stop], none[start:stop] = found[1:]
    chosen = _first_best(score, data.example_sequences)
    characters = data.passages.characters.reshape(-1, 2)
    first, last = reads[chosen].T
    lowest = np.minimum.reduceat(none, data.example_sequences[:-1]) if count else none
    places = np.stack([characters[first, 0], characters[last, 1]], axis=1).astype(np.int64)
    return Spans(places, score[chosen], lowest)


def texts(data: Encoded, spans: Spans, unanswerable: bool = False) -> list[str]:
    """What the spans say, without space around it; empty where there is no answer.

    Args:
        unanswerable: whether "no answer" may be the answer; it is where it scores higher than the span.
    """
    assert data.passages is not None, "only extractive QA is answered by spans"
    silent = (spans.none > spans.score) if unanswerable else np.zeros(len(data), bool)
    return [
        "" if nothing else data.passages.context(example)[first:last].strip()
        for example, ((first, last), nothing) in enumerate(zip(spans.characters.tolist(), silent.tolist(), strict=True))
    ]


def in_windows(scores: Scores, lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], Scores, Scores]:
    """The best pair of each of w windows, counted in its reads: (w, 2), its score, and that of <s>, its first read.

    Where no pair is possible, it is <s> with a score of -inf.

    Args:
        scores: (R, 2) of all windows, end to end.
        lengths: (w,) reads of each.
    """
    longest = int(lengths.max())
    table = np.full((len(lengths), longest, 2), -np.inf, np.float32)
    table[np.arange(longest) < lengths[:, None]] = scores
    none = table[:, 0].sum(axis=1)
    table[:, 0] = -np.inf
    top = np.argsort(-table, axis=1, kind="stable")[:, :BEST]
    values = np.take_along_axis(table, top, axis=1)
    size = top[:, None, :, 1] - top[:, :, None, 0] + 1
    sums = np.where((size >= 1) & (size <= LONGEST), values[:, :, None, 0] + values[:, None, :, 1], -np.inf)
    pair = sums.reshape(len(lengths), -1).argmax(axis=1)
    first, last = np.divmod(pair, top.shape[1])
    window = np.arange(len(lengths))
    score = sums[window, first, last].astype(np.float32)
    reads = np.stack([top[window, first, 0], top[window, last, 1]], axis=1)
    return np.where(np.isneginf(score)[:, None], 0, reads), score, none


def _first_best(score: Scores, examples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each example the window with the highest score, the first of equal ones.

    Args:
        examples: (n + 1) offsets into the windows; none is without.
    """
    owner = np.repeat(np.arange(len(examples) - 1), np.diff(examples))
    order = np.lexsort((-score, owner))
    return order[examples[:-1]]
