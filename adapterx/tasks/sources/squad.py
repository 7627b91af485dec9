"""SQuAD's JSON: {"data": [{"paragraphs": [{"context": …, "qas": [{"id", "question", "answers": [{"text",
"answer_start"}]}]}]}]}, in which XQuAD, MLQA and TyDiQA-GoldP come too. `is_impossible` of SQuAD 2.0 is a question
without answers; its `plausible_answers` are not read. `answer_start` counts characters (Unicode code points).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from adapterx.tasks.examples import Answer, QAExample
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.spec import Misplaced

CONTEXT, QUESTIONS = "context", "qas"


def paragraphs(path: object, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every paragraph of a file, with its place for messages. Raises DataError."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from None
    del text  # what has been read need not be kept
    articles = _list(content, "data", f"{path}")
    for article, one in enumerate(articles):
        articles[article] = None
        where = f"{path}: data[{article}]"
        for number, paragraph in enumerate(_list(one, "paragraphs", where)):
            place = f"{where}.paragraphs[{number}]"
            _list(paragraph, QUESTIONS, place)
            yield place, paragraph


def examples(
    place: str, paragraph: Mapping[str, Any], name: str, ids: bool, misplaced: Misplaced = "refuse"
) -> Iterator[QAExample]:
    """The questions of a paragraph. Raises DataError.

    Args:
        name: of the paragraph, for questions without ids of their own.
        ids: whether questions bear ids that name them.
    """
    context = _text(paragraph, CONTEXT, place)
    for number, question in enumerate(paragraph[QUESTIONS]):
        where = f"{place}.qas[{number}]"
        given = [] if _dict(question, where).get("is_impossible") is True else _list(question, "answers", where)
        identity = _text(question, "id", where) if ids else f"{name}-{number}"
        one = example(where, identity, _text(question, "question", where), context, given, misplaced)
        if one is not None:
            yield one


def example(
    place: str, id: str, question: str, context: str, answers: object, misplaced: Misplaced = "refuse"
) -> QAExample | None:
    """A question with its answers, None where it is left out. Raises DataError.

    Args:
        place: where it stands, for messages.
        answers: [{"text", "answer_start"}, …], or as the Hub has them, {"text": […], "answer_start": […]}.
        misplaced: what becomes of an answer that stands elsewhere.
    """
    pairs = _paired(answers, place)
    given = tuple(_answer(answer, f"{place}.answers[{at}]") for at, answer in enumerate(pairs))
    try:
        return QAExample(id, question, context, given)
    except ValueError as error:
        found = [_nearest(context, answer) for answer in given] if misplaced == "nearest" else []
        if misplaced == "drop":
            return None
        if None in found or not found:
            raise DataError(f"{place}: {error}") from None
        return QAExample(id, question, context, tuple(answer for answer in found if answer is not None))


def _paired(answers: object, place: str) -> list[Any]:
    if isinstance(answers, list):
        return answers
    texts, starts = (_list(answers, key, f"{place}.answers") for key in ("text", "answer_start"))
    if len(texts) != len(starts):
        raise DataError(f"{place}.answers: has {len(texts)} texts, and {len(starts)} places where they start")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _nearest(context: str, answer: Answer) -> Answer | None:
    """The occurrence that starts nearest to where the answer is said to, the earlier of two."""
    before = context.rfind(answer.text, 0, max(0, answer.start) + len(answer.text))
    after = context.find(answer.text, max(0, answer.start))
    places = [place for place in (before, after) if place >= 0]
    return Answer(answer.text, min(places, key=lambda place: abs(place - answer.start))) if places else None


def _answer(value: object, place: str) -> Answer:
    start = _dict(value, place).get("answer_start")
    if isinstance(start, bool) or not isinstance(start, int):
        raise DataError(f"{place}: answer_start should be a whole number, the character it starts at")
    return Answer(_text(value, "text", place), start)


def _dict(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{place}: is not a JSON object")
    return value


def _list(value: object, key: str, place: str) -> list[Any]:
    found = _dict(value, place).get(key)
    if not isinstance(found, list):
        raise DataError(f"{place}: '{key}' should be a list")
    return found


def _text(value: object, key: str, place: str) -> str:
    found = _dict(value, place).get(key)
    if not isinstance(found, str):
        raise DataError(f"{place}: '{key}' should be a text")
    return found
