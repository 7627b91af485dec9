"""Multiple choice: one sequence per choice, each read at its <s>; the highest score is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.sequences import read_at_start, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A context and its possible continuations or answers; `label` is the position of the right one."""

    id: str
    context: str
    choices: tuple[str, ...]
    label: int

    def __post_init__(self) -> None:
        if not 0 <= self.label < len(self.choices):
            raise ValueError(f"example {self.id}: label {self.label} among {len(self.choices)} choices")

    @property
    def labels(self) -> tuple[int, ...]:
        """The gold answer as every format gives it: here the position of the right choice."""
        return (self.label,)

    @property
    def texts(self) -> tuple[str, ...]:
        """The context, then every choice."""
        return (self.context, *self.choices)


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
