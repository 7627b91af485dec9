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
from adapterx.engine.cell import Pool
from adapterx.engine.predict import Observe, Scores, TrainedCell, predict, unobserved
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.head import Head
from adapterx.tasks import constancy
from adapterx.tasks.answers import Answered
from adapterx.tasks.kinds.base import TaskKind
from adapterx.tasks.kinds.columns import lists
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


def write_parquet(
    path: Path,
    cell: str,
    predictions: Sequence[LanguagePredictions],
    metadata: Mapping[str, object],
    kind: TaskKind[Any],
) -> None:
    """One row per item and language: its right answer and the predicted one, as their kind stores them, and scores,
    flattened.
    """
    import pyarrow as pa
    from pyarrow import parquet

    ids = [item for language in predictions for item in language.ids]
    columns: dict[str, object] = {
        "cell": pa.array([cell] * len(ids), pa.string()),
        "language": pa.array([p.language for p in predictions for _ in p.ids], pa.string()),
        "id": pa.array(ids, pa.string()),
        **kind.columns(
            [item for p in predictions for item in p.gold], [item for p in predictions for item in p.prediction]
        ),
        "logits": lists([item.reshape(-1) for p in predictions for item in p.scores], pa.float32()),
    }
    table = pa.table(columns).replace_schema_metadata({key: json.dumps(value) for key, value in metadata.items()})
    parquet.write_table(table, path, compression="zstd")
