"""Extractive QA: <s> question </s></s> window </s>, each window read at its <s> and at every token of the passage.

Windows overlap, so that an answer which one of them cuts stands whole in the next: as in Devlin et al. 2018 (arXiv
1810.04805) and XTREME's scripts, a new one begins every 128 tokens of the passage. A window that does not hold the
whole answer points at its <s>.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, Passages, offsets
from adapterx.tasks.kinds.extractive_qa import QAExample
from adapterx.tasks.sequences import CHUNK, SequenceList, pieces, slices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

STRIDE = 128
"""Tokens from the start of one window to that of the next; a third of the sequence where that is less."""
QUESTION = 64
"""Tokens of a question that are kept; half of the sequence where that is less."""
_SPECIAL = 4  # <s>, </s></s> and </s>
_NOWHERE = -1, -1


def encode(examples: Sequence[QAExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode questions with every window of their passage. Of several right answers the first is the label."""
    sequences = SequenceList()
    chunks = [examples[start : start + CHUNK] for start in range(0, len(examples), CHUNK)]
    parts = [_together(chunk, tokenizer, max_length, sequences) for chunk in chunks]
    tokens, bounds = sequences.arrays()
    windows_of = np.concatenate([np.zeros(0, np.int64), *(part.windows for part in parts)])
    answers = np.concatenate([np.zeros((0, 2), np.int64), *(part.answers for part in parts)])
    bodies = np.concatenate([np.zeros(0, np.int64), *(part.bodies for part in parts)])
    example_sequences = offsets(windows_of)
    # Each window is read at its <s>, and at its passage, which the last </s> follows.
    starts = np.stack([bounds[:-1], bounds[1:] - 1 - bodies], axis=1)
    reads = slices(starts.reshape(-1), np.stack([np.ones_like(bodies), bodies], axis=1).reshape(-1))
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=example_sequences,
        read_tokens=reads,
        example_reads=offsets(1 + bodies)[example_sequences],
        labels=answers.reshape(-1),
        example_labels=2 * example_sequences,
        passages=Passages(
            characters=np.concatenate([np.zeros(0, np.int32), *(part.characters for part in parts)]),
            texts=tuple(text for one in examples for text in (one.context, *(answer.text for answer in one.answers))),
            example_texts=offsets([1 + len(example.answers) for example in examples]),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Windows:
    """What a chunk of m examples has beside its w token sequences.

    windows     int64 (m)      of each example
    bodies      int64 (w)      tokens of the passage in each window
    answers     int64 (w, 2)   labels
    characters  int32 (2 R)    as `Passages` has them
    """

    windows: NDArray[np.int64]
    bodies: NDArray[np.int64]
    answers: NDArray[np.int64]
    characters: NDArray[np.int32]


def _together(
    examples: Sequence[QAExample], tokenizer: PreTrainedTokenizerFast, max_length: int, into: SequenceList
) -> _Windows:
    """Put the windows of a chunk at the end. A passage is tokenised once for all of its questions."""
    places: dict[str, int] = {}
    of_passage = np.array([places.setdefault(example.context, len(places)) for example in examples])
    asked = pieces([example.question for example in examples], tokenizer)
    read = pieces(list(places), tokenizer, characters=True)
    assert read.characters is not None
    question = np.minimum(asked.lengths, min(QUESTION, (max_length - _SPECIAL) // 2))
    room = max_length - _SPECIAL - question
    example, first, last = windows(read.lengths[of_passage], room, min(STRIDE, max_length // 3))
    passage = read.starts[of_passage[example]] + first
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    source = np.concatenate([np.array([bos, eos, eos], np.int32), asked.tokens, read.tokens])
    starts, lengths = np.ones((2, len(example), 5), np.int64)
    starts[:, 0], starts[:, 1] = 0, 3 + asked.starts[example]
    starts[:, 3] = 3 + len(asked.tokens) + passage
    lengths[:, 1], lengths[:, 2], lengths[:, 3] = question[example], 2, last - first
    into.extend(source[slices(starts.reshape(-1), lengths.reshape(-1))], lengths.sum(axis=1))
    # <s> has no characters: 0 and 0, the first row.
    characters = np.concatenate([np.zeros((1, 2), np.int32), read.characters])
    rows = np.stack([np.zeros_like(passage), 1 + passage], axis=1)
    shown = slices(rows.reshape(-1), np.stack([np.ones_like(first), last - first], axis=1).reshape(-1))
    of_token = np.split(read.characters, read.starts[1:])
    spans = np.array([_span(one, of_token[at]) for one, at in zip(examples, of_passage.tolist(), strict=True)])
    gold = spans[example]
    inside = (gold[:, 0] >= first) & (gold[:, 1] < last)
    answers = np.where(inside[:, None], gold - first[:, None] + 1, 0)
    return _Windows(np.bincount(example, minlength=len(examples)), last - first, answers, characters[shown].reshape(-1))


def windows(
    tokens: NDArray[np.int64], room: NDArray[np.int64], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Slices of passages, at least one of each, that hold at most `room` tokens and together all of them.

    Returns:
        Of each slice its passage, its first token and the one behind its last; (w,) each.
    """
    step = np.minimum(stride, room)
    count = 1 + np.maximum(0, -(-(tokens - room) // step))
    passage = np.repeat(np.arange(len(tokens)), count)
    first = slices(np.zeros_like(count), count) * step[passage]
    return passage, first, np.minimum(first + room[passage], tokens[passage])


def _span(example: QAExample, places: NDArray[np.int32]) -> tuple[int, int]:
    """The first and the last token that share a character with the answer, -1 twice where there is none."""
    if not example.answers:
        return _NOWHERE
    answer = example.answers[0]
    stop = answer.start + len(answer.text)
    tokens = np.flatnonzero((places[:, 0] < stop) & (places[:, 1] > answer.start))
    return (int(tokens[0]), int(tokens[-1])) if len(tokens) else _NOWHERE
