"""Retrieval: one sequence per text, all of whose tokens are read; what is made of them is up to the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from adapterx.tasks.encoded import Encoded, offsets
from adapterx.tasks.sequences import tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


CANDIDATE = -1
"""The label of a text that is to be found rather than searched for."""


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """A text to search for, or one to be found.

    `relevant` are the places, among the candidates of the same language, of those that a query is to find; None makes
    it a candidate.
    """

    id: str
    text: str
    relevant: tuple[int, ...] | None

    @property
    def labels(self) -> tuple[int, ...]:
        """What is to be found; of a candidate -1."""
        return (CANDIDATE,) if self.relevant is None else self.relevant

    @property
    def texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)


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
