"""Tagging: one read per word, at its first subword; long sentences become several sequences.

XTREME splits sentences that exceed the limit rather than cutting them (google-research/xtreme,
utils_preprocess/utils_udpos.py), and gives a word that tokenises to nothing the unknown token; so does this.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.examples import TaggingExample
from adapterx.tasks.formats.sequences import Sequences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SPECIAL = 2  # <s> and </s>


def encode(examples: Sequence[TaggingExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode words with as many reads and labels as there are words, whatever their number.

    Only a single word longer than a whole sequence loses subwords, never its first one.
    """
    sequences, reads = Sequences(), array("q")
    per_example = []
    for words in _words(examples, tokenizer):
        before = len(sequences)
        for window in _windows([word[: max_length - _SPECIAL] for word in words], max_length - _SPECIAL):
            sequence = [tokenizer.bos_token_id]
            for word in window:
                reads.append(sequences.size + len(sequence))
                sequence.extend(word)
            sequence.append(tokenizer.eos_token_id)
            sequences.append(sequence)
        per_example.append(len(sequences) - before)
    tokens, bounds = sequences.arrays()
    example_words = offsets([len(example.words) for example in examples])
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=offsets(per_example),
        read_tokens=np.asarray(reads, dtype=np.int64),
        example_reads=example_words,
        labels=np.asarray([tag for example in examples for tag in example.tags], dtype=np.int64),
        example_labels=example_words,
    )


def _words(examples: Sequence[TaggingExample], tokenizer: PreTrainedTokenizerFast) -> Iterator[list[list[int]]]:
    """Per example, the subwords of each word; each distinct word is tokenised once, in one batched call."""
    distinct = sorted({word for example in examples for word in example.words})
    if not distinct:
        return
    batch = tokenizer(distinct, add_special_tokens=False, return_attention_mask=False)
    subwords = dict(zip(distinct, batch["input_ids"], strict=True))
    for example in examples:
        yield [subwords[word] or [tokenizer.unk_token_id] for word in example.words]


def _windows(words: list[list[int]], room: int) -> Iterator[list[list[int]]]:
    """As few runs of whole words as fit into `room` subwords each, filled from the left."""
    cuts, filled = [0], 0
    for place, word in enumerate(words):
        if filled + len(word) > room:
            cuts.append(place)
            filled = 0
        filled += len(word)
    for first, last in pairwise([*cuts, len(words)]):
        yield words[first:last]
