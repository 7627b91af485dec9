"""Evaluate a trained cell in every language: predictions per example, and the scores that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.answers import gold, predicted
from adapterx.engine.cell import Pool
from adapterx.engine.predict import Observe, Scores, TrainedCell, predict, unobserved
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.head import Head
from adapterx.tasks import constancy
from adapterx.tasks.metrics import Metric


@dataclass(frozen=True)
class LanguagePredictions:
    """One language: lists over its items. Answers are label arrays, or texts: of each item the right ones and one."""

    language: str
    ids: Sequence[str]
    gold: Sequence[Any]
    prediction: Sequence[Any]
    scores: list[NDArray[np.float32]]
    """(labels of the item, classes); of extractive QA (1, 2), of the answer and of there being none."""


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


def write_parquet(
    path: Path,
    cell: str,
    predictions: Sequence[LanguagePredictions],
    metadata: Mapping[str, object],
) -> None:
    """One row per item and language; label lists have one entry except in tagging, scores are flattened.

    Of extractive QA: a list of the right answers, the predicted one, its score and that of there being none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    ids = [item for language in predictions for item in language.ids]
    texts = any(isinstance(item, str) for language in predictions for item in language.prediction)
    columns: dict[str, object] = {
        "cell": pa.array([cell] * len(ids), pa.string()),
        "language": pa.array([p.language for p in predictions for _ in p.ids], pa.string()),
        "id": pa.array(ids, pa.string()),
        **(_texts(predictions) if texts else _labels(predictions)),
        "logits": _lists([item.reshape(-1) for p in predictions for item in p.scores], pa.float32()),
    }
    table = pa.table(columns).replace_schema_metadata({key: json.dumps(value) for key, value in metadata.items()})
    parquet.write_table(table, path, compression="zstd")


def _labels(predictions: Sequence[LanguagePredictions]) -> dict[str, object]:
    import pyarrow as pa

    return {
        "gold": _lists([item for p in predictions for item in p.gold], pa.int32()),
        "prediction": _lists([item for p in predictions for item in p.prediction], pa.int32()),
    }


def _texts(predictions: Sequence[LanguagePredictions]) -> dict[str, object]:
    import pyarrow as pa

    return {
        "gold": pa.array([list(item) for p in predictions for item in p.gold], pa.list_(pa.string())),
        "prediction": pa.array([item for p in predictions for item in p.prediction], pa.string()),
    }


def _lists(items: Sequence[NDArray[np.int64] | NDArray[np.float32]], kind: object) -> object:
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])]).astype(np.int32)
    values = np.concatenate(items) if items else np.zeros(0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind))
