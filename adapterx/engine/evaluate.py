"""Evaluate a trained cell in every language: predictions per example, and the scores that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.answers import gold, predicted
from adapterx.engine.cell import Pool
from adapterx.engine.predict import Observe, Scores, TrainedCell, predict, unobserved
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.head import Head
from adapterx.results.predictions import LanguagePredictions
from adapterx.tasks import constancy
from adapterx.tasks.metrics import Metric


def evaluate(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Head]],
    pools: Sequence[Pool],
    prefix: PrefixCache | None = None,
    observe: Observe = unobserved,
) -> list[list[LanguagePredictions]]:
    """Predictions of each cell for the pools, one language each, in one sweep."""
    found = predict(encoder, cells, [pool.data for pool in pools], prefix, observe=observe)
    return [answered(pools, scores) for scores in found]


def answered(pools: Sequence[Pool], scores: Scores) -> list[LanguagePredictions]:
    """Scores of the pools, one language each, beside what is right."""
    return [_of_language(*of_language) for of_language in zip(pools, scores, strict=True)]


def _of_language(pool: Pool, scores: list[NDArray[np.float32]]) -> LanguagePredictions:
    prediction, kept = predicted(pool, scores)
    return LanguagePredictions(pool.language, tuple(pool.data.ids), gold(pool), prediction, kept)


def summary(predictions: Sequence[LanguagePredictions], metrics: Sequence[Metric]) -> dict[str, dict[str, float]]:
    """Per language the value of each metric and `n`, the number of items."""
    return {
        language.language: {
            **{metric.name: score(metric, language) for metric in metrics},
            "n": len(language.ids),
        }
        for language in predictions
    }


def score(metric: Metric, language: LanguagePredictions) -> float:
    """One metric over all items of a language."""
    statistics = metric.statistics(language.gold, language.prediction, language.language)
    return float(metric.value(statistics.sum(axis=0)))


def collapse(predictions: Sequence[LanguagePredictions], labels: Sequence[str]) -> str | None:
    """Why these predictions are no result, if they are none: one answer to everything in each language in which several
    are right.
    """
    return constancy.collapsed({one.language: _answers(one, labels) for one in predictions if one.ids})


def _answers(language: LanguagePredictions, labels: Sequence[str]) -> constancy.Answers:
    if isinstance(language.prediction[0], str):
        return constancy.of_texts(language.gold, language.prediction)
    return constancy.of_labels(language.gold, language.prediction, labels)
