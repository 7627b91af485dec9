"""Texts and pairs of texts as token sequences, the XLM-R way: <s> a </s>, <s> a </s></s> b </s>."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded, offsets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Texts = Sequence[tuple[str, str | None]]


def tokenise(texts: Texts, tokenizer: PreTrainedTokenizerFast, max_length: int) -> list[list[int]]:
    """Token ids of each text, or pair of texts, in two batched calls at most; too long ones are cut longest first."""
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


def flat(sequences: Sequence[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sequences end to end, and the offsets that delimit them."""
    bounds = offsets([len(sequence) for sequence in sequences])
    return np.fromiter(chain.from_iterable(sequences), dtype=np.int32, count=int(bounds[-1])), bounds


def read_at_start(
    ids: Sequence[str], labels: Sequence[int], sequences: Sequence[Sequence[int]], per_example: Sequence[int]
) -> Encoded:
    """Examples with one label each, read at the <s> of each of their sequences."""
    tokens, bounds = flat(sequences)
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
