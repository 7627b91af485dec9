"""Extractive QA: the span of a passage that answers a question.

`windows` encodes, `loss` has the loss (with torch), `spans` turns scores into texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.answers import TEXTS
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.base import Scores, Targets, TaskKind
from adapterx.tasks.kinds.preview import ShownExample, ShownSequence
from adapterx.tasks.sources.entry import Entry, LeftOut
from adapterx.tasks.sources.errors import DataError
from adapterx.wording import shown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from adapterx.tasks.items import Line
    from adapterx.tasks.sources.fields import Misplaced
    from adapterx.tasks.sources.rows import Cells, Reading

OUTPUTS = 2
"""Of the head: scores as first and as last token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of a passage: its text, and the character it starts at."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QAExample:
    """A question about a passage. Each answer is a right one; there is none where the passage holds no answer."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]

    def __post_init__(self) -> None:
        for number, answer in enumerate(self.answers):
            found = self.context[answer.start : answer.start + len(answer.text)]
            if answer.start < 0 or found != answer.text:
                raise ValueError(
                    f"answers[{number}]: the passage has {shown(found)} at character {answer.start},"
                    f" not {shown(answer.text)}"
                )

    @property
    def labels(self) -> tuple[int, ...]:
        """None: the answers are texts."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The question, then the passage."""
        return (self.question, self.context)


class ExtractiveQA(TaskKind[QAExample]):
    """A span of a passage, or none."""

    __slots__ = ()

    name = "extractive-qa"
    example = QAExample
    answers = (TEXTS,)
    required = ("question", "context", "answers")
    labelled = False
    passages = True
    questions = True
    alone = True
    per_read = True
    dense = False
    item_fields = ("question", "context")
    unpaired = ""
    hub_type = "question_answering"
    pipeline = "question-answering"
    reading = "span"
    untranslated = ""
    legend = "«…» is the answer to learn, or <s> in a window of the passage that does not hold it whole"

    def read_share(self, length: int) -> float:
        """All but the question's tokens, which are few."""
        return 1.0

    def read(self, id: str, cells: Cells) -> Entry:
        """The question, the passage and the answers of a row."""
        from adapterx.tasks.sources import squad

        columns = cells.columns
        question, context = cells.text(columns["question"]), cells.text(columns["context"], blank=True)
        given = squad.answers(cells.cell(columns["answers"]), cells.place)
        squad.check_answered(given, cells.unanswerable, cells.place)
        return asked(cells.place, id, question, context, given, cells.misplaced)

    def read_all(
        self, reading: Reading, name: str, place: str, row: Mapping[Any, Any], given: tuple[str, str] | None
    ) -> Iterable[Entry]:
        """The questions of a paragraph of SQuAD's JSON."""
        from adapterx.tasks.sources import squad

        return squad.entries(place, row, name, reading.source, reading.spec.unanswerable, asked)

    def paired(self, first: QAExample, second: QAExample) -> QAExample | None:
        """The question of one, and the passage of the other with its answers."""
        if bool(first.answers) != bool(second.answers):
            return None
        return QAExample(first.id, first.question, second.context, second.answers)

    def encode(self, examples: Sequence[QAExample], tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
        """Encode questions with every window of their passage."""
        from adapterx.tasks.kinds.extractive_qa import windows

        return windows.encode(examples, tokenizer, max_length)

    def outputs(self, size: int) -> int:
        """Two: how well a token begins an answer, and how well it ends one."""
        return OUTPUTS

    def loss(self, scores: Tensor, targets: Targets) -> Tensor:
        """Which token of a window begins the answer, and which ends it."""
        from adapterx.tasks.kinds.extractive_qa.loss import loss

        return loss(scores, targets.windows, targets.labels, targets.weights)

    def gold(self, data: Encoded) -> list[Any]:
        """The texts that are right."""
        assert data.passages is not None, "only extractive QA has passages"
        return list(data.passages.answers())

    def decode(self, data: Encoded, scores: Scores, unanswerable: bool) -> tuple[list[Any], list[NDArray[np.float32]]]:
        """Texts, and (1, 2) scores: of the span that was chosen, and of there being no answer."""
        from adapterx.tasks.kinds.extractive_qa import spans

        found = spans.best(data, scores)
        kept = np.stack([found.score, found.none], axis=1)
        return list(spans.texts(data, found, unanswerable)), list(kept[:, None])

    def columns(self, gold: Sequence[Any], prediction: Sequence[Any]) -> dict[str, Any]:
        """Texts."""
        from adapterx.tasks.kinds.columns import text_columns

        return text_columns(gold, prediction)

    def tokens(self, typical: int, max_length: int, labels: int) -> int:
        """Those of all windows of a passage, which begin a third of a sequence apart, at most 128 tokens."""
        beyond = max(0, typical - max_length)
        return min(max_length, typical) * (1 + -(-beyond // min(128, max_length // 3)))

    def item(self, id: str, line: Line, labels: Sequence[str]) -> QAExample:
        """A question about a passage."""
        return QAExample(id, line.text("question"), line.text("context"), ())

    def row(self, example: QAExample, labels: Sequence[str]) -> dict[str, Any]:
        """The question, the passage and the answers, as SQuAD's JSON has them."""
        answers = [{"text": one.text, "answer_start": one.start} for one in example.answers]
        return {"id": example.id, "question": example.question, "context": example.context, "answers": answers}

    def said(
        self, data: Encoded, scores: Scores, labels: Sequence[str], unanswerable: bool
    ) -> Iterator[dict[str, Any]]:
        """`answer`, a text; in `scores` the sum of its first and last token's as such, `answer`, and of <s>, `none`."""
        for text, ((answer, none),) in zip(*self.decode(data, scores, unanswerable), strict=True):
            yield {"answer": text, "scores": {"answer": _finite(answer), "none": _finite(none)}}

    def shown(self, data: Encoded, number: int, labels: Sequence[str]) -> ShownExample:
        """Of all the tokens that are read, those that the head should point at."""
        assert data.passages is not None, "only extractive QA has passages"
        own = data.labels[slice(*data.example_labels[number : number + 2].tolist())].tolist()
        sequences = []
        for place, one in enumerate(self._shown_sequences(data, number)):
            begin, end = own[2 * place :][:2]
            sequences.append(ShownSequence(one.tokens, dict(list(one.marked.items())[begin : end + 1])))
        return ShownExample(" | ".join(data.passages.answers()[number]) or "no answer", tuple(sequences))

    def is_stored_head(self, labels: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """The one of the first kinds that has no labels."""
        return not labels


def asked(
    place: str,
    id: str,
    question: str,
    context: str,
    given: Sequence[tuple[str, int]],
    misplaced: Misplaced = "refuse",
) -> Entry:
    """A question with its answers, or why it is left out. Raises DataError.

    Args:
        place: where it stands, for messages.
        given: text and start of each answer.
        misplaced: what becomes of an answer that stands elsewhere.
    """
    answers = [Answer(*one) for one in given]
    try:
        return QAExample(id, question, context, tuple(answers))
    except ValueError as error:
        found = [_nearest(context, answer) for answer in answers] if misplaced == "nearest" else []
        if misplaced == "drop":
            return LeftOut.MISPLACED
        if None in found or not found:
            raise DataError(f"{place}: {error}") from None
        return QAExample(id, question, context, tuple(answer for answer in found if answer is not None))


def _nearest(context: str, answer: Answer) -> Answer | None:
    """The occurrence that starts nearest to where the answer is said to, the earlier of two."""
    before = context.rfind(answer.text, 0, max(0, answer.start) + len(answer.text))
    after = context.find(answer.text, max(0, answer.start))
    places = [place for place in (before, after) if place >= 0]
    return Answer(answer.text, min(places, key=lambda place: abs(place - answer.start))) if places else None


def _finite(score: np.float32) -> float | None:
    """JSON has no infinity, which is the score where a passage has no token."""
    return round(float(score), 6) if np.isfinite(score) else None
