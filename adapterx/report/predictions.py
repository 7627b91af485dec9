"""Stored predictions → per-item statistics of each metric, which is all that the report needs of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapterx.results.predictions import Evaluated, LanguagePredictions, StoredPredictions
from adapterx.tasks.answers import Answered
from adapterx.tasks.constancy import Answers
from adapterx.tasks.metrics import Metric, majority_baseline, scoring
from adapterx.tasks.metrics import metric as metric_of

Statistics = NDArray[np.float32]


@dataclass(frozen=True)
class LanguageItems:
    """One language of an evaluation."""

    ids: tuple[str, ...]
    """Items, sorted."""
    statistics: Mapping[str, Statistics]
    """By metric: (items, s), in the order of `ids`. They are counts, which float32 holds exactly, or shares."""
    answers: Answers | None = None
    """What is answered, as a whole; None of mined pairs."""


@dataclass(frozen=True)
class Predictions:
    """What a cell's evaluation says, per language."""

    metrics: tuple[Metric, ...]
    """The first is the main one."""
    languages: Mapping[str, LanguageItems]
    task: str = ""
    """Its name in the catalog."""


def scored(stored: StoredPredictions) -> Predictions:
    """Score predictions that are sorted by item. ValueError, or what metrics raise, for some that cannot be scored."""
    metrics = _metrics(stored.of)
    languages = {}
    for one in stored.languages:
        ids = tuple(one.ids)
        if len(set(ids)) < len(ids):
            raise ValueError(f"it holds an item of {one.language} twice")
        statistics = {
            metric.name: metric.statistics(one.gold, one.prediction, one.language).astype(np.float32)
            for metric in metrics
        }
        if not all(np.isfinite(values).all() for values in statistics.values()):
            raise ValueError(f"its answers in {one.language} give scores that are no finite numbers")
        codes = [language.language for language in stored.languages]
        languages[one.language] = LanguageItems(ids, statistics, _whole(stored.of, one, codes))
    return Predictions(metrics, languages, stored.of.task)


def majority(stored: StoredPredictions) -> dict[str, dict[str, float]]:
    """Score of always answering the most frequent gold label, or no text, by metric and language."""
    return {
        metric.name: {one.language: majority_baseline(metric, one.gold, one.language) for one in stored.languages}
        for metric in _metrics(stored.of)
    }


def _metrics(of: Evaluated) -> tuple[Metric, ...]:
    return tuple(metric_of(name, of.labels, of.task, of.unanswerable) for name in of.metrics)


def _whole(of: Evaluated, one: LanguagePredictions, codes: Collection[str]) -> Answers | None:
    """What a language's items are answered, as a whole.

    Args:
        codes: all languages, among which rankings may search.
    """
    answered = Answered(one.ids, one.gold, one.prediction, of.labels, codes)
    return scoring(of.metrics[0]).answers.whole(answered)
