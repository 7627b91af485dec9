"""predictions.parquet → per-item statistics of each metric, which is all that the report needs of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.errors import AdapterxError
from adapterx.tasks.answers import Answered
from adapterx.tasks.constancy import Answers
from adapterx.tasks.metrics import Metric, majority_baseline, metric, scoring
from adapterx.wording import plain

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


class UnreadablePredictions(AdapterxError, ValueError):
    """A stored file of predictions that no scores can be computed from; the message names it."""


def read(path: Path) -> Predictions:
    """Score the predictions in a file. UnreadablePredictions says why that cannot be done."""
    try:
        return _scored(path)
    except MemoryError:
        raise
    # A file of these columns may hold anything: metrics and readers raise errors of many kinds.
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnreadablePredictions(
            f"{path} cannot be scored: {plain(why, 200)}; remove its stage and run again"
        ) from (error)


def _scored(path: Path) -> Predictions:
    raw = _raw(path)
    languages = {}
    for name, part in raw.languages.items():
        ids = tuple(raw.ids[part])
        if len(set(ids)) < len(ids):
            raise ValueError(f"it holds an item of {name} twice")
        statistics = {
            one.name: one.statistics(raw.gold[part], raw.prediction[part], name).astype(np.float32)
            for one in raw.metrics
        }
        if not all(np.isfinite(values).all() for values in statistics.values()):
            raise ValueError(f"its answers in {name} give scores that are no finite numbers")
        languages[name] = LanguageItems(ids, statistics, _whole(raw, part))
    return Predictions(raw.metrics, languages, raw.task)


def majority(path: Path) -> dict[str, dict[str, float]]:
    """Score of always answering the most frequent gold label, or no text, by metric and language."""
    raw = _raw(path)
    return {
        one.name: {name: majority_baseline(one, raw.gold[part], name) for name, part in raw.languages.items()}
        for one in raw.metrics
    }


@dataclass(frozen=True)
class _Raw:
    """The file's columns, sorted by language and item."""

    metrics: tuple[Metric, ...]
    ids: list[str]
    gold: list[Any]
    """Labels, or texts."""
    prediction: list[Any]
    languages: Mapping[str, slice]
    task: str
    labels: list[str]


def _raw(path: Path) -> _Raw:
    from pyarrow import parquet

    table = parquet.read_table(path, columns=["language", "id", "gold", "prediction"])
    if holes := [name for name in table.column_names if _has_holes(table.column(name))]:
        raise ValueError(f"values of {', '.join(holes)} are missing")
    if not len(table):
        raise ValueError("it holds no item")
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    table = table.sort_by([("language", "ascending"), ("id", "ascending")])
    labels: list[str] = json.loads(metadata["labels"])
    names, starts = np.unique(np.array(table.column("language").to_pylist(), dtype=str), return_index=True)
    bounds = pairwise([*starts.tolist(), len(table)])
    task, unanswerable = json.loads(metadata["task"]), json.loads(metadata.get("unanswerable", "false"))
    return _Raw(
        metrics=tuple(metric(name, labels, task, unanswerable) for name in json.loads(metadata["metrics"])),
        ids=table.column("id").to_pylist(),
        gold=_answers(table.column("gold")),
        prediction=_answers(table.column("prediction")),
        languages={name: slice(*pair) for name, pair in zip(names.tolist(), bounds, strict=True)},
        task=task,
        labels=labels,
    )


def _has_holes(column: Any) -> bool:
    """Whether a parquet column lacks values, those inside its lists included."""
    from pyarrow import types

    kind = column.type
    inner = types.is_list(kind) and any(chunk.flatten().null_count for chunk in column.chunks)
    return bool(column.null_count or inner)


def _whole(raw: _Raw, part: slice) -> Answers | None:
    answered = Answered(raw.ids[part], raw.gold[part], raw.prediction[part], raw.labels, raw.languages)
    return scoring(raw.metrics[0].name).answers.whole(answered)


def _answers(column: Any) -> list[Any]:
    """Per row of a parquet column: an array, of integer lists; texts as they are."""
    from pyarrow import types

    kind = column.type
    if types.is_string(kind) or types.is_string(kind.value_type):
        texts: list[Any] = column.to_pylist()
        return texts
    joined = column.combine_chunks()
    offsets = joined.offsets.to_numpy()
    values = joined.values.to_numpy().astype(np.int64)
    return [values[start:end] for start, end in pairwise(offsets)]
