"""Extractive QA: <s> question </s></s> window </s>, each window read at its <s> and at every token of the passage.

Windows overlap, so that an answer which one of them cuts stands whole in the next: as in Devlin et al. 2018 (arXiv
1810.04805) and XTREME's scripts, a new one begins every 128 tokens of the passage. A window that does not hold the
whole answer points at its <s>.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, Passages, offsets
from adapterx.tasks.examples import QAExample
from adapterx.tasks.formats.sequences import CHUNK, Sequences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

STRIDE = 128
"""Tokens from the start of one window to that of the next; a third of the sequence where that is less."""
QUESTION = 64
"""Tokens of a question that are kept; half of the sequence where that is less."""
_SPECIAL = 4  # <s>, </s></s> and </s>


def encode(examples: Sequence[QAExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode questions with every window of their passage. Of several right answers the first is the label."""
    sequences = Sequences()
    reads: list[NDArray[np.int64]] = []
    characters: list[NDArray[np.int32]] = []
    labels: list[int] = []
    windows_of, reads_of = [], []
    for example, question, tokens, places in _tokenised(examples, tokenizer):
        asked = question[: min(QUESTION, (max_length - _SPECIAL) // 2)]
        gold = _span(example, places)
        before = len(sequences)
        reads_of.append(0)
        for first, last in windows(len(tokens), max_length - _SPECIAL - len(asked), min(STRIDE, max_length // 3)):
            start = sequences.size
            body = start + len(asked) + _SPECIAL - 1 + np.arange(last - first)
            reads += [np.array([start]), body]
            characters += [np.zeros((1, 2), np.int32), places[first:last]]
            inside = gold is not None and first <= gold[0] and gold[1] < last
            labels += [gold[0] - first + 1, gold[1] - first + 1] if gold is not None and inside else [0, 0]
            reads_of[-1] += 1 + last - first
            eos = tokenizer.eos_token_id
            sequences.append((tokenizer.bos_token_id, *asked, eos, eos, *tokens[first:last], eos))
        windows_of.append(len(sequences) - before)
    tokens_, bounds = sequences.arrays()
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=tokens_,
        sequence_offsets=bounds,
        example_sequences=offsets(windows_of),
        read_tokens=np.concatenate([np.zeros(0, np.int64), *reads]),
        example_reads=offsets(reads_of),
        labels=np.asarray(labels, dtype=np.int64),
        example_labels=2 * offsets(windows_of),
        passages=Passages(
            characters=np.concatenate([np.zeros((0, 2), np.int32), *characters]).reshape(-1),
            texts=tuple(text for one in examples for text in (one.context, *(answer.text for answer in one.answers))),
            example_texts=offsets([1 + len(example.answers) for example in examples]),
        ),
    )


def windows(tokens: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Slices of a passage, at least one, that hold at most `room` tokens each and together all of them."""
    first = 0
    while first + room < tokens:
        yield first, first + room
        first += min(stride, room)
    yield first, tokens


def _tokenised(
    examples: Sequence[QAExample], tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[QAExample, list[int], list[int], NDArray[np.int32]]]:
    """Every example with the tokens of its question, those of its passage and the characters that they cover.

    Questions about one passage follow each other in most files, and it is tokenised once for them.
    """
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        passages = list(dict.fromkeys(example.context for example in chunk))
        plain = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
        asked = tokenizer([example.question for example in chunk], **plain)["input_ids"]
        read = tokenizer(passages, return_offsets_mapping=True, **plain)
        found = zip(read["input_ids"], read["offset_mapping"], strict=True)
        tokens = {
            passage: (ids, np.array(places, np.int32).reshape(-1, 2))
            for passage, (ids, places) in zip(passages, found, strict=True)
        }
        for example, question in zip(chunk, asked, strict=True):
            yield (example, question, *tokens[example.context])


def _span(example: QAExample, places: NDArray[np.int32]) -> tuple[int, int] | None:
    """The first and the last token that share a character with the answer, None where there is none."""
    if not example.answers:
        return None
    answer = example.answers[0]
    stop = answer.start + len(answer.text)
    tokens = np.flatnonzero((places[:, 0] < stop) & (places[:, 1] > answer.start))
    return (int(tokens[0]), int(tokens[-1])) if len(tokens) else None
