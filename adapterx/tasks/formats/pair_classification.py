"""Pair classification: one sequence per example, read at its <s>."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import PairExample
from adapterx.tasks.formats.sequences import read_at_start, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def encode(examples: Sequence[PairExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode one text or two per example. An empty second text stays a pair; no second text is a single one."""
    sequences = tokenise([(example.text, example.text_pair) for example in examples], tokenizer, max_length)
    return read_at_start(
        ids=[example.id for example in examples],
        labels=[example.label for example in examples],
        sequences=sequences,
        per_example=[1] * len(examples),
    )
