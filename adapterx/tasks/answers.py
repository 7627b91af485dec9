"""Types of answers: a metric scores answers of one type, and a kind of task gives answers of one or several.

A type says what answers are told to be as a whole, so that a report need not know which kind of task they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from adapterx.tasks import constancy


@dataclass(frozen=True)
class Answered:
    """Everything that is answered in one language, beside what is right; sequences over its items."""

    ids: Sequence[str]
    gold: Sequence[Any]
    prediction: Sequence[Any]
    labels: Sequence[str] = ()
    """Of the task."""
    languages: Collection[str] = ()
    """Those that are evaluated."""


@dataclass(frozen=True, eq=False)
class AnswerType:
    """One type of answers."""

    name: str
    plainest: str
    """What a report's note says is scored in place of the most frequent label; empty where it is that label."""
    whole: Callable[[Answered], constancy.Answers | None]
    """What the answers of a language are as a whole; None where one answer to everything means nothing."""


LABELS = AnswerType("labels", "", lambda of: constancy.of_labels(of.gold, of.prediction, of.labels))
"""Label arrays, each with one label of an item or one for each of its words."""
TEXTS = AnswerType("texts", "no text", lambda of: constancy.of_texts(of.gold, of.prediction))
"""Of each item the right texts, and one text."""
PAIRS = AnswerType("pairs", "no pair", lambda of: None)
"""Of each item the ids of its partners, and the id of the one that was mined, or an empty text."""
RANKINGS = AnswerType(
    "rankings",
    "the candidates in the order of their file",
    lambda of: constancy.of_rankings(of.ids, of.gold, of.prediction, of.languages),
)
"""Of each query the places of its candidates, and an array of the nearest place and the ranks of those."""
NUMBERS = AnswerType(
    "numbers", "the mean of the right numbers", lambda of: constancy.of_numbers(of.gold, of.prediction)
)
"""Of each item the right number, and one number."""
TYPES = (LABELS, TEXTS, PAIRS, RANKINGS, NUMBERS)
"""Those that adapterx comes with, in the order in which notes name them."""
