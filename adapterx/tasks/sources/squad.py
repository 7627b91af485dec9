"""SQuAD's JSON: {"data": [{"paragraphs": [{"context": …, "qas": [{"id", "question", "answers": [{"text",
"answer_start"}]}]}]}]}, in which XQuAD, MLQA and TyDiQA-GoldP come too. `answer_start` counts characters (Unicode code
points). A question has no answer where it says `is_impossible`, as SQuAD 2.0's do, where its list is empty, or where
every answer is an empty text. `plausible_answers` are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from adapterx.tasks.sources.entry import Entry, or_left_out
from adapterx.tasks.sources.errors import DataError, MissingValue
from adapterx.tasks.sources.fields import Misplaced, Missing
from adapterx.tasks.sources.files import parsed
from adapterx.wording import shown

if TYPE_CHECKING:
    from adapterx.tasks.sources.row_source import RowSource

CONTEXT, QUESTIONS = "context", "qas"
Given = tuple[str, int]
"""An answer: its text, and the character it starts at."""


class Make(Protocol):
    """Makes an example of a question; see `adapterx.tasks.kinds.extractive_qa.asked`."""

    def __call__(
        self, place: str, id: str, question: str, context: str, given: Sequence[Given], misplaced: Misplaced
    ) -> Entry: ...


class QuestionSource(Protocol):
    """What the YAML says of the files."""

    @property
    def columns(self) -> Mapping[str, Any]: ...
    @property
    def missing(self) -> Missing: ...
    @property
    def misplaced(self) -> Misplaced: ...


def paragraphs(path: object, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every paragraph of a file, with its place for messages. Raises DataError."""
    content = parsed(text, f"{path}")
    del text  # what has been read need not be kept
    articles = _list(content, "data", f"{path}")
    for article, one in enumerate(articles):
        articles[article] = None
        where = f"{path}: data[{article}]"
        for number, paragraph in enumerate(_list(one, "paragraphs", where)):
            place = f"{where}.paragraphs[{number}]"
            _list(paragraph, QUESTIONS, place)
            yield place, paragraph


def entries(
    place: str, paragraph: Mapping[str, Any], name: str, source: RowSource, unanswerable: bool, make: Make
) -> Iterator[Entry]:
    """The questions of a paragraph, or why one is left out. Raises DataError.

    Args:
        name: of the paragraph, for questions without ids of their own.
        source: whose `columns` say whether questions bear ids that name them.
        unanswerable: whether a question may have no answer.
        make: makes the examples.
    """

    def made(question: object, name: str, where: str) -> Entry:
        given = _given(_dict(question, where), where)
        check_answered(given, unanswerable, where)
        identity = _text(question, "id", where) if "id" in source.columns else name
        asked, context = _text(question, "question", where), _text(paragraph, CONTEXT, place)
        if not asked.strip() and source.missing != "keep":
            raise MissingValue(f"{where}: 'question' is blank")
        return make(where, identity, asked, context, given, source.misplaced)

    for number, question in enumerate(paragraph[QUESTIONS]):
        where = f"{place}.qas[{number}]"
        yield or_left_out(source.missing, partial(made, question, f"{name}-{number}", where))


def _given(question: Mapping[str, Any], place: str) -> list[Given]:
    """The answers of a question that may say that it has none."""
    impossible = question.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise DataError(f"{place}: 'is_impossible' should be true or false, not {shown(impossible)}")
    return [] if impossible else answers(_list(question, "answers", place), place)


def answers(value: object, place: str) -> list[Given]:
    """Answers that are not empty. Raises DataError.

    Args:
        value: [{"text", "answer_start"}, …], or as the Hub has them, {"text": […], "answer_start": […]}.
        place: where the question stands, for messages.
    """
    pairs = _paired(value, place)
    found = [_answer(answer, f"{place}.answers[{at}]") for at, answer in enumerate(pairs)]
    # An empty text is how some data sets write "none"; SQuAD 2.0's own evaluator leaves it out.
    return [answer for answer in found if answer[0]]


def check_answered(given: Sequence[Given], unanswerable: bool, place: str) -> None:
    """Refuse a question without an answer where the task does not expect any."""
    if not given and not unanswerable:
        raise DataError(f"{place}: has no answer; a task some of whose questions have none says `unanswerable: true`")


def _paired(value: object, place: str) -> list[Any]:
    if isinstance(value, list):
        return value
    texts, starts = (_list(value, key, f"{place}.answers") for key in ("text", "answer_start"))
    if len(texts) != len(starts):
        raise DataError(f"{place}.answers: has {len(texts)} texts, and {len(starts)} places where they start")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _answer(value: object, place: str) -> Given:
    start = _dict(value, place).get("answer_start")
    if isinstance(start, bool) or not isinstance(start, int):
        raise DataError(f"{place}: answer_start should be a whole number, the character it starts at")
    return _text(value, "text", place), start


def _dict(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{place}: is not a JSON object")
    return value


def _list(value: object, key: str, place: str) -> list[Any]:
    found = _dict(value, place).get(key)
    if found is None and key in value:  # type: ignore[operator]  # `_dict` has looked
        raise MissingValue(f"{place}: '{key}' should be a list, not null")
    if not isinstance(found, list):
        raise DataError(f"{place}: '{key}' should be a list")
    return found


def _text(value: object, key: str, place: str) -> str:
    found = _dict(value, place).get(key)
    if found is None and key in value:  # type: ignore[operator]  # `_dict` has looked
        raise MissingValue(f"{place}: '{key}' should be a text, not null")
    if not isinstance(found, str):
        raise DataError(f"{place}: '{key}' should be a text")
    return found
