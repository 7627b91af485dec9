"""predictions.parquet: what an evaluation answers, one row per item and language, and what the file is of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapterx.errors import AdapterxError
from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.columns import lists
from adapterx.wording import plain

NAME = "predictions.parquet"
_COLUMNS = ("language", "id", "gold", "prediction")
"""Those that are read; `cell` and `logits` stand beside them."""


@dataclass(frozen=True)
class LanguagePredictions:
    """One language: lists over its items. Answers are label arrays, or texts: of each item the right ones and one."""

    language: str
    ids: Sequence[str]
    gold: Sequence[Any]
    prediction: Sequence[Any]
    scores: Sequence[NDArray[np.float32]] = ()
    """(labels of the item, classes); of extractive QA (1, 2), of the answer and of there being none. Not read back."""


@dataclass(frozen=True)
class Evaluated:
    """What predictions are of: the file's metadata, a JSON text each."""

    task: str
    """Its name in the catalog, or beside the recipe."""
    labels: tuple[str, ...]
    """In the order of their places, which answers name; none where answers are no labels."""
    metrics: tuple[str, ...]
    """The main one first."""
    unanswerable: bool = False
    """Whether there may be no answer to a question."""
    format: str | None = None
    """The task's kind; None in files of versions that did not say it."""


@dataclass(frozen=True)
class StoredPredictions:
    """A file of predictions."""

    of: Evaluated
    languages: Sequence[LanguagePredictions]
    """In the order of the file, or of their codes where items are sorted."""


class UnreadablePredictions(AdapterxError, ValueError):
    """A stored file of predictions that no scores can be computed from; the message names it."""


def write(path: Path, cell: str, stored: StoredPredictions) -> None:
    """Write one row per item and language: its right answer and the predicted one, as their kind stores them, and
    scores, flattened.

    Args:
        cell: whose predictions they are, for people.
    """
    import pyarrow as pa
    from pyarrow import parquet

    predictions = stored.languages
    ids = [item for language in predictions for item in language.ids]
    assert stored.of.format is not None, "what is written says its kind, which knows its columns"
    gold, prediction = (
        [item for p in predictions for item in p.gold],
        [item for p in predictions for item in p.prediction],
    )
    columns: dict[str, object] = {
        "cell": pa.array([cell] * len(ids), pa.string()),
        "language": pa.array([p.language for p in predictions for _ in p.ids], pa.string()),
        "id": pa.array(ids, pa.string()),
        **kind(stored.of.format).columns(gold, prediction),
        "logits": lists([item.reshape(-1) for p in predictions for item in p.scores], pa.float32()),
    }
    metadata = {key: json.dumps(value) for key, value in _metadata(stored.of).items()}
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path, compression="zstd")


def _metadata(of: Evaluated) -> dict[str, object]:
    found: dict[str, object] = {"task": of.task, "labels": list(of.labels), "metrics": list(of.metrics)}
    found |= {"unanswerable": True} if of.unanswerable else {}
    return found if of.format is None else {**found, "format": of.format}


@contextmanager
def scorable(path: Path) -> Iterator[None]:
    """Turn whatever reading or scoring the answers of a file raises into UnreadablePredictions, which names it."""
    try:
        yield
    except (MemoryError, UnreadablePredictions):
        raise
    # A file of these columns may hold anything: metrics and readers raise errors of many kinds.
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnreadablePredictions(
            f"{path} cannot be scored: {plain(why, 200)}; remove its stage and run again"
        ) from error


def about(path: Path) -> Evaluated:
    """What the predictions in a file are of, without reading them. Raises UnreadablePredictions."""
    from pyarrow import parquet

    with scorable(path):
        return _evaluated(parquet.read_schema(path).metadata)


def read(path: Path, *, by_item: bool = False) -> StoredPredictions:
    """The predictions in a file, without their scores. Raises UnreadablePredictions.

    Args:
        by_item: whether languages and their items are sorted, by code and id; else they stand in the order of the file.
    """
    from pyarrow import parquet

    with scorable(path):
        table = parquet.read_table(path, columns=list(_COLUMNS))
        if holes := [name for name in table.column_names if _has_holes(table.column(name))]:
            raise ValueError(f"values of {', '.join(holes)} are missing")
        if not len(table):
            raise ValueError("it holds no item")
        of = _evaluated(table.schema.metadata)
        if by_item:
            table = table.sort_by([("language", "ascending"), ("id", "ascending")])
        return StoredPredictions(of, list(_by_language(table)))


def _evaluated(metadata: Mapping[bytes, bytes] | None) -> Evaluated:
    said = {key.decode(): value.decode() for key, value in (metadata or {}).items()}
    labels, metrics, task = (json.loads(said[key]) for key in ("labels", "metrics", "task"))
    format_ = json.loads(said.get("format", "null"))
    return Evaluated(
        str(task),
        tuple(map(str, labels)),
        tuple(map(str, metrics)),
        bool(json.loads(said.get("unanswerable", "false"))),
        None if format_ is None else str(format_),
    )


def _by_language(table: Any) -> Iterator[LanguagePredictions]:
    """The rows of each language, which stand together."""
    codes = np.array(table.column("language").to_pylist(), dtype=str)
    bounds = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
    ids, gold, prediction = (_answers(table.column(name)) for name in ("id", "gold", "prediction"))
    seen: set[str] = set()
    for start, end in pairwise(bounds):
        code = str(codes[start])
        if code in seen:
            raise ValueError(f"its items of {code} do not stand together")
        seen.add(code)
        part = slice(start, end)
        yield LanguagePredictions(code, ids[part], gold[part], prediction[part])


def single_labels(path: Path) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Of every language whose items have one label among as many classes: logits, (n, classes), and labels, (n,).

    None of a file without logits, or with any other answers. Raises UnreadablePredictions.
    """
    from pyarrow import parquet, types

    with scorable(path):
        schema = parquet.read_schema(path)
        if "logits" not in schema.names or not types.is_list(schema.field("gold").type):
            return {}
        if not types.is_integer(schema.field("gold").type.value_type):
            return {}
        table = parquet.read_table(path, columns=["language", "gold", "logits"])
        languages = np.array(table["language"].to_pylist())
        gold, logits = _flat(table["gold"]), _flat(table["logits"])
        if gold is None or logits is None or gold.shape[1] != 1 or logits.shape[1] < 2 or not np.isfinite(logits).all():
            return {}
        labels = gold[:, 0].astype(np.int64)
        return {
            code: (logits[languages == code], labels[languages == code]) for code in dict.fromkeys(languages.tolist())
        }


def _flat(column: Any) -> NDArray[np.float64] | None:
    """A parquet column of lists as (rows, length); None where their lengths differ."""
    joined = column.combine_chunks()
    lengths = set(np.diff(joined.offsets.to_numpy()).tolist())
    if len(lengths) != 1:
        return None
    values = joined.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(-1, lengths.pop()) if len(values) else None


def _has_holes(column: Any) -> bool:
    """Whether a parquet column lacks values, those inside its lists included."""
    from pyarrow import types

    kind = column.type
    inner = types.is_list(kind) and any(chunk.flatten().null_count for chunk in column.chunks)
    return bool(column.null_count or inner)


def _answers(column: Any) -> list[Any]:
    """Per row of a parquet column: an array, of integer lists; texts and numbers as they are."""
    from pyarrow import types

    kind = column.type
    if types.is_floating(kind):
        numbers: list[Any] = column.to_pylist()
        return numbers
    if types.is_string(kind) or types.is_string(kind.value_type):
        texts: list[Any] = column.to_pylist()
        return texts
    joined = column.combine_chunks()
    offsets = joined.offsets.to_numpy()
    values = joined.values.to_numpy().astype(np.int64)
    return [values[start:end] for start, end in pairwise(offsets)]
