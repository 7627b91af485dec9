"""Retrieval: one sequence per text, all of whose tokens are read; what is made of them is up to the search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.examples import RetrievalExample
from adapterx.tasks.formats.sequences import tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def encode(examples: Sequence[RetrievalExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode queries, whose labels are the places of their candidates, and candidates, whose label is -1."""
    tokens, bounds = tokenise([(one.text, None) for one in examples], tokenizer, max_length).arrays()
    return Encoded(
        ids=tuple(one.id for one in examples),
        tokens=tokens,
        sequence_offsets=bounds,
        example_sequences=np.arange(len(examples) + 1, dtype=np.int64),
        read_tokens=np.arange(len(tokens), dtype=np.int64),
        example_reads=bounds,
        labels=np.array([label for one in examples for label in one.labels], dtype=np.int64),
        example_labels=offsets([len(one.labels) for one in examples]),
    )
