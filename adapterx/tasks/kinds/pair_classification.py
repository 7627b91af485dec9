"""Pair classification: one text or two, and one label. One sequence per example, read at its <s>."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.sequences import read_at_start, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.items import Line
    from adapterx.tasks.sources.rows import Cells


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
        """The one label."""
        return (self.label,)

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, and the second one if there is one."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)


class PairClassification(TaskKind[PairExample]):
    """One label for a text or a pair of texts."""

    __slots__ = ()

    name = "pair-classification"
    example = PairExample
    required = ("text", "label")
    optional = ("text_pair",)
    item_fields = ("text", "text_pair")
    unpaired = ""
    hub_type = "classification"
    pipeline = "text-classification"
    classifier: ClassVar[Mapping[str, str]] = {"dense": "dense.", "output": "out_proj."}
    peft_type = "SEQ_CLS"
    untranslated = ""

    def read(self, id: str, cells: Cells) -> PairExample:
        """The texts and the label of a row."""
        pair = cells.text(cells.columns["text_pair"]) if "text_pair" in cells.columns else None
        return PairExample(id, cells.text(cells.columns["text"]), pair, cells.label())

    def paired(self, first: PairExample, second: PairExample) -> PairExample | None:
        """The first text of one and the second of the other."""
        if first.label != second.label or first.text_pair is None or second.text_pair is None:
            return None
        return PairExample(first.id, first.text, second.text_pair, first.label)

    def encode(self, examples: Sequence[PairExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
        """Encode one text or two per example. An empty second text stays a pair; no second text is a single one."""
        return read_at_start(
            ids=[example.id for example in examples],
            labels=[example.label for example in examples],
            sequences=tokenise([(example.text, example.text_pair) for example in examples], tokenizer, max_length),
            per_example=[1] * len(examples),
        )

    def item(self, id: str, line: Line, labels: Sequence[str]) -> PairExample:
        """A text or two, without a label."""
        return PairExample(id, line.text("text"), line.text("text_pair") if "text_pair" in line.row else None, 0)

    def reworded(self, example: PairExample, texts: Sequence[str]) -> PairExample:
        """Other texts with the same label."""
        return PairExample(example.id, texts[0], texts[1] if len(texts) > 1 else None, example.label)

    def row(self, example: PairExample, labels: Sequence[str]) -> dict[str, Any]:
        """The texts, and the label by its name."""
        pair = {} if example.text_pair is None else {"text_pair": example.text_pair}
        return {"id": example.id, "text": example.text, **pair, "label": labels[example.label]}

    def hub_config(self, labels: int) -> dict[str, Any]:
        """Such a head of AdapterHub's may have a bias or none, and may be on a pooler."""
        return {"num_labels": labels, "bias": True, "use_pooler": False}

    def is_hub_head(self, config: Mapping[str, Any]) -> bool:
        """Whether it is a classification head that is no regression: of one label the library makes one."""
        return super().is_hub_head(config) and config.get(self.hub_count) != 1

    def is_classifier(self, outputs: int) -> bool:
        """Whether there are several outputs: one is a number."""
        return outputs != 1

    def is_stored_head(self, labels: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """A dense layer, and an output for each label."""
        return len(labels) > 0 and "dense.weight" in shapes and shapes["output.weight"][0] != 1
