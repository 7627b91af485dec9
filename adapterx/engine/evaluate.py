"""Evaluate a trained cell in every language: predictions per example, and the scores that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.cell import Pool
from adapterx.engine.predict import Scores, TrainedCell, predict
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.head import Head
from adapterx.tasks.metrics import Metric

Labels = list[NDArray[np.int64]]


@dataclass(frozen=True)
class LanguagePredictions:
    """One language: lists over its items."""

    language: str
    ids: Sequence[str]
    gold: Labels
    prediction: Labels
    scores: list[NDArray[np.float32]]
    """(labels of the item, classes)."""


def evaluate(
    encoder: PackedEncoder,
    cells: Sequence[tuple[TrainedCell, Head]],
    pools: Sequence[Pool],
    prefix: PrefixCache | None = None,
) -> list[list[LanguagePredictions]]:
    """Predictions of each cell for the pools, one language each, in one sweep."""
    return [answered(pools, scores) for scores in predict(encoder, cells, [pool.data for pool in pools], prefix)]


def answered(pools: Sequence[Pool], scores: Scores) -> list[LanguagePredictions]:
    """Scores of the pools, one language each, beside what is right."""
    gold = [np.split(pool.data.labels, pool.data.example_labels[1:-1]) for pool in pools]
    return [_of_language(*of_language) for of_language in zip(pools, gold, scores, strict=True)]


def _of_language(pool: Pool, gold: Labels, scores: list[NDArray[np.float32]]) -> LanguagePredictions:
    prediction = [example.argmax(axis=1).astype(np.int64) for example in scores]
    return LanguagePredictions(pool.language, tuple(pool.data.ids), gold, prediction, scores)


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
    return float(metric.value(metric.statistics(language.gold, language.prediction).sum(axis=0)))


def collapse(predictions: Sequence[LanguagePredictions], labels: Sequence[str]) -> str | None:
    """Why these predictions are no result, if they are none: one label per language, though the gold labels differ."""
    answers = set()
    for language in predictions:
        predicted = np.unique(np.concatenate(language.prediction))
        if len(predicted) > 1 or len(np.unique(np.concatenate(language.gold))) == 1:
            return None
        answers.add(labels[int(predicted[0])])
    return f"answers {' or '.join(map(repr, sorted(answers)))} to everything of a language" if answers else None


def write_parquet(
    path: Path,
    cell: str,
    predictions: Sequence[LanguagePredictions],
    metadata: Mapping[str, object],
) -> None:
    """One row per item and language; label lists have one entry except in tagging, scores are flattened."""
    import pyarrow as pa
    from pyarrow import parquet

    ids = [item for language in predictions for item in language.ids]
    columns = {
        "cell": pa.array([cell] * len(ids), pa.string()),
        "language": pa.array([p.language for p in predictions for _ in p.ids], pa.string()),
        "id": pa.array(ids, pa.string()),
        "gold": _lists([item for p in predictions for item in p.gold], pa.int32()),
        "prediction": _lists([item for p in predictions for item in p.prediction], pa.int32()),
        "logits": _lists([item.reshape(-1) for p in predictions for item in p.scores], pa.float32()),
    }
    table = pa.table(columns).replace_schema_metadata({key: json.dumps(value) for key, value in metadata.items()})
    parquet.write_table(table, path, compression="zstd")


def _lists(items: Sequence[NDArray[np.int64] | NDArray[np.float32]], kind: object) -> object:
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])]).astype(np.int32)
    values = np.concatenate(items) if items else np.zeros(0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind))
