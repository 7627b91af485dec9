"""SQuAD's JSON: {"data": [{"paragraphs": [{"context": …, "qas": [{"id", "question", "answers": [{"text",
"answer_start"}]}]}]}]}, in which XQuAD, MLQA and TyDiQA-GoldP come too. `is_impossible` of SQuAD 2.0 is a question
without answers; its `plausible_answers` are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from adapterx.tasks.examples import Answer, QAExample
from adapterx.tasks.sources.errors import DataError

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


def examples(place: str, paragraph: Mapping[str, Any], name: str, ids: bool) -> Iterator[QAExample]:
    """The questions of a paragraph. Raises DataError.

    Args:
        name: of the paragraph, for questions without ids of their own.
        ids: whether questions bear ids that name them.
    """
    context = _text(paragraph, CONTEXT, place)
    for number, question in enumerate(paragraph[QUESTIONS]):
        where = f"{place}.qas[{number}]"
        given = [] if _dict(question, where).get("is_impossible") is True else _list(question, "answers", where)
        answers = tuple(_answer(answer, f"{where}.answers[{at}]") for at, answer in enumerate(given))
        identity = _text(question, "id", where) if ids else f"{name}-{number}"
        try:
            yield QAExample(identity, _text(question, "question", where), context, answers)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None


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
