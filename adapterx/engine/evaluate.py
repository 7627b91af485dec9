"""Evaluate a trained cell in every language: predictions per example, and the scores that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.cell import Pool
from adapterx.engine.predict import Observe, Scores, TrainedCell, predict, unobserved
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.head import Head
from adapterx.results.predictions import LanguagePredictions
from adapterx.tasks import constancy
from adapterx.tasks.answers import Answered
from adapterx.tasks.kinds.base import TaskKind
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
    return [answered(pools, scores, head.kind) for scores, (_, head) in zip(found, cells, strict=True)]


def answered(pools: Sequence[Pool], scores: Scores, kind: TaskKind[Any]) -> list[LanguagePredictions]:
    """Answers of the pools, one language each, beside what is right."""
    return [_of_language(*of_language, kind) for of_language in zip(pools, scores, strict=True)]


def _of_language(pool: Pool, scores: list[NDArray[np.float32]], kind: TaskKind[Any]) -> LanguagePredictions:
    prediction, kept = kind.decode(pool.data, scores, pool.unanswerable)
    return LanguagePredictions(pool.language, tuple(pool.data.ids), kind.gold(pool.data), prediction, kept)


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


def collapse(predictions: Sequence[LanguagePredictions], labels: Sequence[str], kind: TaskKind[Any]) -> str | None:
    """Why these predictions are no result, if they are none: one answer to everything in each language in which several
    are right.
    """
    (answers,) = kind.answers
    whole = {
        one.language: answers.whole(Answered(one.ids, one.gold, one.prediction, labels))
        for one in predictions
        if one.ids
    }
    return constancy.collapsed({language: one for language, one in whole.items() if one is not None})
