"""predictions.parquet → per-item statistics of each metric, which is all that the report needs of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.metrics import Metric, majority_baseline, metric

Statistics = NDArray[np.float32]


@dataclass(frozen=True)
class LanguageItems:
    """One language of an evaluation."""

    ids: tuple[str, ...]
    """Items, sorted."""
    statistics: Mapping[str, Statistics]
    """By metric: (items, s), in the order of `ids`. They are counts, which float32 holds exactly."""
    majority: Mapping[str, float]
    """By metric: the score of always answering the most frequent gold label."""


@dataclass(frozen=True)
class Predictions:
    """What a cell's evaluation says, per language."""

    metrics: tuple[Metric, ...]
    """The first is the main one."""
    languages: Mapping[str, LanguageItems]


def read(path: Path) -> Predictions:
    """Score the predictions in a file; ValueError if an item occurs twice in a language."""
    from pyarrow import parquet

    table = parquet.read_table(path, columns=["language", "id", "gold", "prediction"])
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    table = table.sort_by([("language", "ascending"), ("id", "ascending")])
    labels: list[str] = json.loads(metadata["labels"])
    metrics = tuple(metric(name, labels) for name in json.loads(metadata["metrics"]))
    gold, prediction = (_lists(table.column(name)) for name in ("gold", "prediction"))
    language, ids = (np.array(table.column(name).to_pylist(), dtype=object) for name in ("language", "id"))
    statistics = {scorer.name: scorer.statistics(gold, prediction).astype(np.float32) for scorer in metrics}
    names, starts = np.unique(language.astype(str), return_index=True)
    languages = {}
    for name, start, end in zip(names.tolist(), starts, [*starts[1:], len(ids)], strict=True):
        part = slice(int(start), int(end))
        if len(set(ids[part])) < len(ids[part]):
            raise ValueError(f"{path} holds an item of {name} twice")
        languages[name] = LanguageItems(
            ids=tuple(ids[part]),
            statistics={key: values[part] for key, values in statistics.items()},
            majority={scorer.name: majority_baseline(scorer, gold[part]) for scorer in metrics},
        )
    return Predictions(metrics, languages)


def _lists(column: object) -> list[NDArray[np.int64]]:
    """One array per row of a parquet column of integer lists."""
    joined = column.combine_chunks()  # type: ignore[attr-defined]
    offsets = joined.offsets.to_numpy()
    values = joined.values.to_numpy().astype(np.int64)
    return [values[start:end] for start, end in pairwise(offsets)]
