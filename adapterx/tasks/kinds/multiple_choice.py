"""Multiple choice: one sequence per choice, each read at its <s>; the choice with the highest score is the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.kinds.preview import ShownExample, ShownSequence
from adapterx.tasks.sequences import read_at_start, tokenise
from adapterx.tasks.sources.errors import DataError
from adapterx.wording import shown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.items import Line
    from adapterx.tasks.sources.rows import Cells


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
        """The position of the right choice."""
        return (self.label,)

    @property
    def texts(self) -> tuple[str, ...]:
        """The context, then every choice."""
        return (self.context, *self.choices)


class MultipleChoice(TaskKind[ChoiceExample]):
    """The position of the right choice among several; labels are names of positions."""

    __slots__ = ()

    name = "multiple-choice"
    example = ChoiceExample
    required = ("context", "choices", "label")
    item_fields = ("context", "choices")
    unpaired = ""
    hub_type = "multiple_choice"
    pipeline = "multiple-choice"
    reading = "choices"
    hub_count = "num_choices"
    untranslated = ""
    by_label = False  # one output scores each choice by itself, whatever its position is called

    def read(self, id: str, cells: Cells) -> ChoiceExample:
        """The context, the choices and the position of the right one."""
        columns, labels = cells.columns, cells.labels
        label, choices = cells.label(), cells.texts(columns["choices"])
        if not 2 <= len(choices) <= len(labels):
            raise DataError(
                f"{cells.place}: {cells.named(columns['choices'])} has {len(choices)} choices, and the task, by its"
                f" labels, up to {len(labels)}, two at least"
            )
        if label >= len(choices):
            raise DataError(
                f"{cells.place}: the right answer is {shown(labels[label])}, number {label + 1}, of"
                f" {len(choices)} choices"
            )
        return ChoiceExample(id, cells.text(columns["context"], blank=True), choices, label)

    def paired(self, first: ChoiceExample, second: ChoiceExample) -> ChoiceExample | None:
        """The context of one and the choices of the other."""
        if first.label != second.label or len(first.choices) != len(second.choices) or not first.context:
            return None
        return ChoiceExample(first.id, first.context, second.choices, first.label)

    def encode(self, examples: Sequence[ChoiceExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
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

    def outputs(self, size: int) -> int:
        """One: each choice is scored by itself."""
        return 1

    def units(self, scores: Tensor, reads: Tensor) -> Tensor:
        """(n, choices): a choice's score becomes a class of its example, which has -inf for choices it lacks."""
        from adapterx.tasks.kinds import layers

        return layers.choice_table(scores, reads)

    def losses(
        self, prefix: str, tensors: Mapping[str, Tensor], rows: Tensor, labels: Tensor, weights: Tensor, reads: int
    ) -> Tensor:
        """(K,) losses, of examples that all have as many choices as there are `reads`."""
        from adapterx.tasks.kinds import layers

        scores = layers.batched_scores(prefix, tensors, rows, self.dense)
        units = scores.shape[1] // reads
        table = scores[:, : units * reads, 0].reshape(len(rows), units, reads)
        return layers.batched_labels_loss(table, labels, weights)

    def sequences(self, labels: int) -> int:
        """One per choice."""
        return max(2, labels)

    def item(self, id: str, line: Line, labels: Sequence[str]) -> ChoiceExample:
        """A context and choices, no more than the task has."""
        choices = line.texts("choices")
        if len(choices) > len(labels):
            raise line.error("choices", f"{len(choices)} are more than the {len(labels)} of the task")
        return ChoiceExample(id, line.text("context"), choices, 0)

    def reworded(self, example: ChoiceExample, texts: Sequence[str]) -> ChoiceExample:
        """Another context and other choices, the right one at the same position."""
        context, *choices = texts
        return ChoiceExample(example.id, context, tuple(choices), example.label)

    def row(self, example: ChoiceExample, labels: Sequence[str]) -> dict[str, Any]:
        """The context, the list of choices, and the name of the right one's position."""
        choices = list(example.choices)
        return {"id": example.id, "context": example.context, "choices": choices, "label": labels[example.label]}

    def own_scores(self, example: ChoiceExample, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Those of the example's own choices."""
        return scores[:, : len(example.choices)]

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """The right choice's sequence has an arrow before it."""
        found = super().shown(data, number, labels)
        right = int(data.labels[data.example_labels[number]])
        sequences = [
            ShownSequence(one.tokens, one.marked, "→ " if place == right else "  ")
            for place, one in enumerate(found.sequences)
        ]
        return ShownExample(found.answer, tuple(sequences))

    def hub_config(self, labels: int) -> dict[str, Any]:
        """Choices are counted in place of labels."""
        return {"num_choices": labels, "use_pooler": False}

    def is_stored_head(self, labels: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """A dense layer, and one output for several labels."""
        return len(labels) > 0 and "dense.weight" in shapes and shapes["output.weight"][0] == 1
