"""Pair classification: one sequence per example, read at its <s>."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.sequences import read_at_start, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class PairExample:
    """One or two texts and one label.

    `id` names the underlying item, so in a parallel task it is the same in every language.
    `label` indexes the task's labels.
    """

    id: str
    text: str
    text_pair: str | None
    label: int

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as every format gives it: here one label."""
        return (self.label,)

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, and the second one if there is one."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)


def encode(examples: Sequence[PairExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Encode one text or two per example. An empty second text stays a pair; no second text is a single one."""
    sequences = tokenise([(example.text, example.text_pair) for example in examples], tokenizer, max_length)
    return read_at_start(
        ids=[example.id for example in examples],
        labels=[example.label for example in examples],
        sequences=sequences,
        per_example=[1] * len(examples),
    )
