"""Multiple choice: one sequence per choice, each read at its <s>; the highest score is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.examples import ChoiceExample
from adapterx.tasks.formats.sequences import read_at_start, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def encode(examples: Sequence[ChoiceExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode (context, choice) pairs; without a context the choice stands alone."""
    texts = [
        (example.context, choice) if example.context else (choice, None)
        for example in examples
        for choice in example.choices
    ]
    return read_at_start(
        ids=[example.id for example in examples],
        labels=[example.label for example in examples],
        sequences=tokenise(texts, tokenizer, max_length),
        per_example=[len(example.choices) for example in examples],
    )
