"""Texts and pairs of texts as token sequences, the XLM-R way: <s> a </s>, <s> a </s></s> b </s>."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, offsets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Texts = Sequence[tuple[str, str | None]]

CHUNK = 4096
"""Texts per call of the tokenizer, whose answer takes many times the memory of the token ids in it."""


class Sequences:
    """Token sequences end to end, growing at four bytes a token."""

    def __init__(self) -> None:
        self._tokens = array("i")
        self._ends = array("q", [0])

    def append(self, sequence: Iterable[int]) -> None:
        """Put one more sequence at the end."""
        self._tokens.extend(sequence)
        self._ends.append(len(self._tokens))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def size(self) -> int:
        """The number of tokens."""
        return len(self._tokens)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The tokens, and the offsets that delimit the sequences: views, after which nothing can be appended."""
        return np.asarray(self._tokens, dtype=np.int32), np.asarray(self._ends, dtype=np.int64)


def tokenise(texts: Texts, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Sequences:
    """The tokens of each text, or pair of texts, in batched calls; too long ones are cut longest first."""
    found = Sequences()
    for start in range(0, len(texts), CHUNK):
        for sequence in _together(texts[start : start + CHUNK], tokenizer, max_length):
            found.append(sequence)
    return found


def _together(texts: Texts, tokenizer: PreTrainedTokenizerFast, max_length: int) -> list[list[int]]:
    """Token ids of a chunk, in one call for its single texts and one for its pairs."""
    ids: list[list[int]] = [[] for _ in texts]
    for paired in (False, True):
        places = [place for place, (_, second) in enumerate(texts) if (second is not None) == paired]
        if not places:
            continue
        first = [texts[place][0] for place in places]
        second = [texts[place][1] for place in places] if paired else None
        batch = tokenizer(first, second, truncation="longest_first", max_length=max_length, return_attention_mask=False)
        for place, sequence in zip(places, batch["input_ids"], strict=True):
            ids[place] = sequence
    return ids


def read_at_start(
    ids: Sequence[str], labels: Sequence[int], sequences: Sequences, per_example: Sequence[int]
) -> Encoded:
    """Examples with one label each, read at the <s> of each of their sequences."""
    tokens, bounds = sequences.arrays()
    example_sequences = offsets(list(per_example))
    return Encoded(
        ids=tuple(ids),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=example_sequences,
        read_tokens=bounds[:-1],
        example_reads=example_sequences,
        labels=np.asarray(labels, dtype=np.int64),
        example_labels=np.arange(len(ids) + 1, dtype=np.int64),
    )
