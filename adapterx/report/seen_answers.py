"""What a reader is shown of a cell's answers: confusions, and some items answered rightly and wrongly.

It is taken from the predictions while they are read for scoring, so that they are read once and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from adapterx.results.predictions import LanguagePredictions, StoredPredictions
from adapterx.tasks.answers import LABELS, NUMBERS, PAIRS, RANKINGS, TEXTS
from adapterx.tasks.metrics import scoring

SHOWN = 3
"""Items of each language that are answered rightly, and as many that are answered wrongly."""
MOST_LABELS = 24
"""More labels than these are no table that anybody reads."""
MOST_SOUGHT = 3
"""Candidates of a query that are shown; some have hundreds."""
CANDIDATE, PLACE = "→", "→#"
"""Before the id, or the place among the candidates, of a text that was to be found."""
Answer = tuple[int, ...] | tuple[str, ...] | float | str


@dataclass(frozen=True)
class SeenItem:
    """One item, what is right and what is answered: places of labels (one per word in tagging), texts, a number, or
    candidates, each by CANDIDATE or PLACE and what names it.
    """

    id: str
    gold: Answer
    prediction: Answer
    right: bool
    """Of numbers: whether it is among the closest."""


@dataclass(frozen=True)
class SeenAnswers:
    """One cell's."""

    labels: tuple[str, ...] = ()
    confusions: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    """By language: how often a label (row) was answered by another (column); none where answers are no labels."""
    items: Mapping[str, tuple[SeenItem, ...]] = field(default_factory=dict)
    """By language, wrong ones first."""
    sought: bool = False
    """Whether answers name candidates."""


def seen(stored: StoredPredictions) -> SeenAnswers:
    """What is shown of a file of predictions. Items are drawn by their ids, so cells show the same where they can."""
    kind, labels = scoring(stored.of.metrics[0]).answers, stored.of.labels
    if kind is LABELS:
        few = len(labels) <= MOST_LABELS
        confusions = {one.language: _confusion(one, len(labels)) for one in stored.languages} if few else {}
        items = {one.language: _chosen(one, _same_labels(one)) for one in stored.languages}
        return SeenAnswers(labels, confusions, items)
    if kind is TEXTS:
        return SeenAnswers(items={one.language: _chosen(one, _same_text(one)) for one in stored.languages})
    if kind is NUMBERS:
        return SeenAnswers(items={one.language: _chosen(one, _close(one)) for one in stored.languages})
    if kind is RANKINGS:
        found = {one.language: _chosen(one, _nearest(one), _places) for one in stored.languages}
        return SeenAnswers(items=found, sought=True)
    if kind is PAIRS:
        return SeenAnswers(
            items={one.language: _chosen(one, _mined(one), _named) for one in stored.languages}, sought=True
        )
    return SeenAnswers()


def _confusion(one: LanguagePredictions, count: int) -> tuple[tuple[int, ...], ...]:
    gold, answered = np.concatenate(list(one.gold)), np.concatenate(list(one.prediction))
    known = (gold >= 0) & (gold < count) & (answered >= 0) & (answered < count)
    cells = np.bincount(gold[known] * count + answered[known], minlength=count * count)
    return tuple(tuple(row) for row in cells.reshape(count, count).tolist())


def _same_labels(one: LanguagePredictions) -> list[bool]:
    lengths = np.array([len(gold) for gold in one.gold])
    if not lengths.all() or any(len(given) != length for given, length in zip(one.prediction, lengths, strict=True)):
        return [np.array_equal(*pair) for pair in zip(one.gold, one.prediction, strict=True)]
    same = np.concatenate(list(one.gold)) == np.concatenate(list(one.prediction))
    found: list[bool] = np.logical_and.reduceat(same, np.cumsum(lengths) - lengths).tolist()
    return found


def _same_text(one: LanguagePredictions) -> list[bool]:
    """Whether an answer is one of the right ones, but for case and spaces; no answer is right where none is."""
    return [
        _plain(answer) in {_plain(text) for text in gold} or (not len(gold) and not _plain(answer))
        for gold, answer in zip(one.gold, one.prediction, strict=True)
    ]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _close(one: LanguagePredictions) -> list[bool]:
    """The half of the numbers with the smaller errors."""
    errors = np.abs(np.asarray(one.gold, dtype=float) - np.asarray(one.prediction, dtype=float))
    return [bool(error <= np.median(errors)) for error in errors]


def _nearest(one: LanguagePredictions) -> list[bool]:
    """Whether the nearest candidate is one that the query is to find."""
    return [answer[0] in gold for gold, answer in zip(one.gold, one.prediction, strict=True)]


def _mined(one: LanguagePredictions) -> list[bool]:
    """Whether a partner was mined; of those without any, whether none was."""
    pairs = zip(one.gold, one.prediction, strict=True)
    return [answer in gold if len(gold) else not answer for gold, answer in pairs]


def _places(gold: Any, answer: Any) -> tuple[Answer, Answer]:
    """The candidates to find, and the nearest one."""
    return tuple(f"{PLACE}{place}" for place in gold[:MOST_SOUGHT]), f"{PLACE}{answer[0]}"


def _named(gold: Any, answer: str) -> tuple[Answer, Answer]:
    """The partners, and the one that was mined, if any."""
    return tuple(f"{CANDIDATE}{id}" for id in gold[:MOST_SOUGHT]), f"{CANDIDATE}{answer}" if answer else ""


def _as_they_are(gold: Any, answer: Any) -> tuple[Answer, Answer]:
    return _answer(gold), _answer(answer)


Told = Callable[[Any, Any], tuple[Answer, Answer]]
"""What is right and what is answered, as they are shown."""


def _chosen(one: LanguagePredictions, right: Sequence[bool], told: Told = _as_they_are) -> tuple[SeenItem, ...]:
    """The wrong and the right ones with the smallest hashes of their ids."""
    places = _order(tuple(map(str, one.ids)))
    return tuple(
        SeenItem(str(one.ids[place]), *told(one.gold[place], one.prediction[place]), wanted)
        for wanted in (False, True)
        for place in _first(places, right, wanted)
    )


def _first(places: Sequence[int], right: Sequence[bool], wanted: bool) -> Iterator[int]:
    found = (place for place in places if right[place] == wanted)
    yield from (place for place, _ in zip(found, range(SHOWN), strict=False))


def _answer(value: Any) -> Answer:
    if isinstance(value, str | float):
        return value
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else tuple(map(str, value))


@lru_cache(maxsize=256)
def _order(ids: tuple[str, ...]) -> tuple[int, ...]:
    """The places of items by hashes of their ids; cells of a target have the same ones."""
    hashes = [blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest() for id in ids]
    return tuple(sorted(range(len(ids)), key=hashes.__getitem__))
