"""Test items of a target: what each contributes to the error of a score, in every language and in means over them.

An id names the same item in every language that has it, so items are resampled by id: what makes an item hard
in one language makes it hard in all. Languages may lack some of the ids, and share none at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from adapterx.report.collect import TargetFacts
from adapterx.report.predictions import Predictions
from adapterx.report.statistics import Array, Scored
from adapterx.tasks.metrics import Metric

MOST = 4
"""Statistics of an item, at most, whose zeros and ones are told apart as kinds of items."""


class Items:
    """The ids of one target's items, and where each language has them."""

    def __init__(self, facts: TargetFacts) -> None:
        place: dict[str, int] = {}
        alike: dict[tuple[str, ...], NDArray[np.int64]] = {}
        for ids in dict.fromkeys(facts.items[language] for language in facts.languages):
            alike[ids] = np.array([place.setdefault(id, len(place)) for id in ids], dtype=np.int64)
        self.count = len(place)
        """Different items of all languages."""
        self._places = {language: alike[facts.items[language]] for language in facts.languages}

    def mean(self, languages: Sequence[str], scores: Mapping[str, Scored]) -> Scored:
        """The mean over languages, each weighing alike; its influences are those of all ids, (count,)."""
        total = np.zeros(self.count, np.float32)
        for language in languages:
            total[self._places[language]] += scores[language].influence
        value = float(np.mean([scores[language].value for language in languages]))
        return Scored(value, total / len(languages))


def scored(scores: Predictions, metric: Metric) -> dict[str, Scored]:
    """A cell's score in every language it was evaluated in."""
    by_count: dict[int, list[str]] = {}
    for name, found in scores.languages.items():
        by_count.setdefault(len(found.ids), []).append(name)
    result: dict[str, Scored] = {}
    for names in by_count.values():
        stacked = np.stack([scores.languages[name].statistics[metric.name] for name in names])
        values, influence = _jackknife(stacked.astype(np.float64), metric)
        result.update({name: Scored(float(values[at]), influence[at]) for at, name in enumerate(names)})
    return {name: result[name] for name in scores.languages}


def _jackknife(statistics: Array, metric: Metric) -> tuple[Array, NDArray[np.float32]]:
    """Scores of several languages, (languages,), and influences of their n items, (languages, n).

    An influence is √((n - 1) / n) times the distance of the score without the item from the mean of such scores: the
    metric is evaluated n times, each with the sums of all items but one.

    Args:
        statistics: (languages, n, s).
        metric: a function of their sums over items.
    """
    count = statistics.shape[1]
    sums = np.ones(count) @ statistics  # many times as fast as a sum over the axis in the middle
    kinds = _kinds(statistics)
    if kinds is None:
        without = metric.value(sums[:, None] - statistics)
    else:
        without = np.take_along_axis(metric.value(sums[:, None] - kinds[0]), kinds[1], axis=1)
    influence = np.sqrt((count - 1) / count) * (without.mean(axis=1, keepdims=True) - without)
    return metric.value(sums), influence.astype(np.float32)


def _kinds(statistics: Array) -> tuple[Array, NDArray[np.int64]] | None:
    """The rows there can be of items that count zeros and ones, (2 ** s, s), and which each item is, (languages, n).

    So few rows need the metric a few times instead of n times. None where items count something else.
    """
    size = statistics.shape[-1]
    ones = statistics == 1
    if size > MOST or not (ones | (statistics == 0)).all():
        return None
    rows = np.array(list(product((0.0, 1.0), repeat=size)))
    return rows, (ones @ (1 << np.arange(size)[::-1])).astype(np.int64)
