"""Regression: one text or two, and one score. One sequence per example, read at its <s>.

The head is XLM-R's own with one output, and the loss the squared error: what `transformers` calls `problem_type`
regression, and how STS-B and SICK's relatedness are usually learnt (Devlin et al. 2019, arXiv 1810.04805, appendix B).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.answers import NUMBERS, AnswerType
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.base import Scores, Targets, TaskKind
from adapterx.tasks.kinds.preview import ShownExample
from adapterx.tasks.sequences import read_at_start, tokenise
from adapterx.tasks.sources.errors import DataError
from adapterx.wording import shown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.items import Line
    from adapterx.tasks.sources.rows import Cells

_LARGEST = 1e6
"""Of a score: its square is a loss that float32 holds."""


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """One or two texts and one score.

    `id` names the underlying item, so in a parallel task it is the same in every language.
    """

    id: str
    text: str
    text_pair: str | None
    score: float

    @property
    def labels(self) -> tuple[int, ...]:
        """None: the answer is a number."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, and the second one if there is one."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)


class Regression(TaskKind[ScoredPair]):
    """One number for a text or a pair of texts. Encoded examples hold its bits where others have labels."""

    __slots__ = ()

    name = "regression"
    example = ScoredPair
    answers: ClassVar[tuple[AnswerType, ...]] = (NUMBERS,)
    labelled = False
    required = ("text", "score")
    optional = ("text_pair",)
    item_fields = ("text", "text_pair")
    unpaired = ""
    hub_type = "classification"
    pipeline = "text-classification"
    classifier: ClassVar[Mapping[str, str]] = {"dense": "dense.", "output": "out_proj."}
    peft_type = "SEQ_CLS"
    untranslated = ""
    metadata: ClassVar[Mapping[str, str]] = {"format": "regression"}

    def read(self, id: str, cells: Cells) -> ScoredPair:
        """The texts and the score of a row."""
        pair = cells.text(cells.columns["text_pair"]) if "text_pair" in cells.columns else None
        return ScoredPair(id, cells.text(cells.columns["text"]), pair, _score(cells))

    def paired(self, first: ScoredPair, second: ScoredPair) -> ScoredPair | None:
        """The first text of one and the second of the other."""
        if first.score != second.score or first.text_pair is None or second.text_pair is None:
            return None
        return ScoredPair(first.id, first.text, second.text_pair, first.score)

    def encode(self, examples: Sequence[ScoredPair], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
        """Encode one text or two per example."""
        return read_at_start(
            ids=[example.id for example in examples],
            labels=np.array([example.score for example in examples], np.float64).view(np.int64).tolist(),
            sequences=tokenise([(example.text, example.text_pair) for example in examples], tokenizer, max_length),
            per_example=[1] * len(examples),
        )

    # The head

    def outputs(self, size: int) -> int:
        """One number."""
        return 1

    def loss(self, scores: Tensor, targets: Targets) -> Tensor:
        """The squared error of (R, 1) scores, summed with the weight of each."""
        errors = scores[:, 0] - _numbers(targets.labels)
        return errors.square() @ targets.weights

    def losses(
        self, prefix: str, tensors: Mapping[str, Tensor], rows: Tensor, labels: Tensor, weights: Tensor, reads: int
    ) -> Tensor:
        """(K,) squared errors of K cells at once; arguments as of `TaskKind.losses`."""
        from adapterx.tasks.kinds import layers

        scores = layers.batched_scores(prefix, tensors, rows, self.dense)[..., 0]
        count = scores.shape[1] // reads
        errors = scores[:, :count] - _numbers(labels[:, :count])
        return (errors.square() * weights[:, :count]).sum(1)

    def prior_loss(self, labels: NDArray[np.int64]) -> float | None:
        """The squared error of answering the mean score to everything."""
        return float(labels.view(np.float64).var())

    # Answers

    def gold(self, data: Encoded) -> list[float]:
        """Of each example its score."""
        found: list[float] = data.labels.view(np.float64).tolist()
        return found

    def decode(self, data: Encoded, scores: Scores, unanswerable: bool) -> tuple[list[Any], list[NDArray[np.float32]]]:
        """Of each example the number that the head gives."""
        return [float(example[0, 0]) for example in scores], list(scores)

    def columns(self, gold: Sequence[Any], prediction: Sequence[Any]) -> dict[str, Any]:
        """Two columns of numbers."""
        import pyarrow as pa

        return {"gold": pa.array(gold, pa.float64()), "prediction": pa.array(prediction, pa.float64())}

    # New items, and the tasks command

    def item(self, id: str, line: Line, labels: Sequence[str]) -> ScoredPair:
        """A text or two, without a score."""
        return ScoredPair(id, line.text("text"), line.text("text_pair") if "text_pair" in line.row else None, 0.0)

    def reworded(self, example: ScoredPair, texts: Sequence[str]) -> ScoredPair:
        """Other texts with the same score."""
        return ScoredPair(example.id, texts[0], texts[1] if len(texts) > 1 else None, example.score)

    def row(self, example: ScoredPair, labels: Sequence[str]) -> dict[str, Any]:
        """The texts and the score."""
        pair = {} if example.text_pair is None else {"text_pair": example.text_pair}
        return {"id": example.id, "text": example.text, **pair, "score": example.score}

    def said(
        self, data: Encoded, scores: Scores, labels: Sequence[str], unanswerable: bool
    ) -> Iterator[dict[str, Any]]:
        """The answers to new items, for JSON: `score`."""
        for example in scores:
            yield {"score": round(float(example[0, 0]), 6)}

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """One encoded example with its score and its marks."""
        return ShownExample(f"{self.gold(data)[number]:g}", self._shown_sequences(data, number))

    # Files of other libraries

    def hub_config(self, labels: int) -> dict[str, Any]:
        """A classification head of one label, whose loss is the squared error in the library too."""
        return {"num_labels": 1, "bias": True, "use_pooler": False}

    def is_hub_head(self, config: Mapping[str, Any]) -> bool:
        """Whether it is a classification head of one label."""
        return super().is_hub_head(config) and config.get(self.hub_count) == 1

    def is_classifier(self, outputs: int) -> bool:
        """Whether there is one output."""
        return outputs == 1


def _score(cells: Cells) -> float:
    """The number in the column of the score; MissingValue for a blank one, DataError for what is no such number."""
    text = cells.text(cells.columns["score"])
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST:
        raise DataError(f"{cells.place}: the score is {shown(text)}, not a number of at most {_LARGEST:g} in size")
    return number


def _numbers(labels: Tensor) -> Tensor:
    """The float32 scores whose float64 bits stand in int64 labels."""
    import torch

    return labels.contiguous().view(torch.float64).float()
