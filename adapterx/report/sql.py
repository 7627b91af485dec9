"""A run's stored results as tables of DuckDB, for questions in SQL that can read nothing else and write nothing.

Tables are handed over as arrow data, so that the engine's own access to files and the network is shut before a
question is read: with access to the stored files it could write to them too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

from adapterx.errors import AdapterxError
from adapterx.plan.cells import Cell
from adapterx.report.analysis import Analysis
from adapterx.report.exports import results_csv
from adapterx.results import predictions as predictions_file
from adapterx.results.provenance import MeasuredCost
from adapterx.store import DamagedFile, Store

EXTRA = "duckdb"
PREDICTIONS = "predictions"
_NUMBERS = ("seed", "value", "low", "high", "n")
_TRUTHS = ("trained_in", "target_training", "constant")


class SqlError(AdapterxError):
    """A question that cannot be answered; the message is the engine's."""


@dataclass(frozen=True)
class SqlAnswer:
    """What a question came to."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def ask(analysis: Analysis, store: Store, question: str) -> SqlAnswer:
    """Answer a question over the tables `cells`, `scores`, `stages` and `predictions`.

    `predictions` has a row for each item, with answers as JSON texts; it is read only if the question names it.
    Raises SqlError, also where DuckDB is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise SqlError(f"SQL is answered by DuckDB, which is not installed: pip install 'adapterx[{EXTRA}]'") from error
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    with duckdb.connect(":memory:", config=settings) as base:
        for name, table in _tables(analysis).items():
            base.register(f"_{name}", table)
            base.execute(f'CREATE TABLE "{name}" AS SELECT * FROM "_{name}"')  # noqa: S608 - names of ours
            base.unregister(f"_{name}")
        if PREDICTIONS in question.lower():
            _add_predictions(base, analysis, store)
        base.execute("SET lock_configuration = true")
        try:
            found = base.execute(question)
            columns = tuple(str(column[0]) for column in found.description or ())
            return SqlAnswer(columns, tuple(map(tuple, found.fetchall())))
        except duckdb.Error as error:
            raise SqlError(f"SQL: {error}") from error


def _tables(analysis: Analysis) -> Mapping[str, Any]:
    import pyarrow as pa

    return {name: pa.Table.from_pylist(rows) for name, rows in _rows(analysis).items() if rows}


def _rows(analysis: Analysis) -> Mapping[str, list[dict[str, Any]]]:
    results = analysis.results
    scores = [_typed(row) for row in csv.DictReader(StringIO(results_csv(analysis))) if row["metric"]]
    cells = [
        {"cell": one.cell.label, **asdict(one.cell), "status": one.status, "message": one.message}
        for one in results.cells
    ]
    stages = [
        {"kind": ref.kind, "label": ref.label, "id": ref.id, "status": record.status, **asdict(MeasuredCost.of(record))}
        for ref, record in results.stages.items()
    ]
    return {"cells": cells, "scores": scores, "stages": stages}


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in row.items():
        if name in _NUMBERS:
            found[name] = float(text) if name in ("value", "low", "high") else int(text)
        else:
            found[name] = text == "true" if name in _TRUTHS else text or None
    cell = Cell(row["backbone"], row["method"], row["intermediate"], row["transfer"], row["target"], int(row["seed"]))
    return {"cell": cell.label, **found}


def _add_predictions(base: Any, analysis: Analysis, store: Store) -> None:
    """One table of all evaluations, file after file, so that one file at a time is in memory twice."""
    base.execute(
        f"CREATE TABLE {PREDICTIONS} (cell VARCHAR, target VARCHAR, language VARCHAR, id VARCHAR,"
        " gold VARCHAR, prediction VARCHAR, correct BOOLEAN)"
    )
    for label, target, table in _files(analysis, store):
        base.register("_file", table)
        gold, given = "to_json(gold)::VARCHAR", "to_json(prediction)::VARCHAR"
        columns = f"?, ?, language, id, {gold}, {given}, {gold} = {given}"
        base.execute(f"INSERT INTO {PREDICTIONS} SELECT {columns} FROM _file", [label, target])  # noqa: S608 - ours
        base.unregister("_file")


def _files(analysis: Analysis, store: Store) -> Iterator[tuple[str, str, Any]]:
    """Label and target of each evaluated cell, with its columns; checked against the record as they are read."""
    from pyarrow import parquet

    planned = {one.cell: one for one in analysis.results.run.cells}
    for one in analysis.results.cells:
        ref = planned[one.cell].evaluation
        if one.scores is None or ref is None or ref not in analysis.results.stages:
            continue
        try:
            path = store.read(analysis.results.stages[ref], predictions_file.NAME)
        except DamagedFile:
            continue  # a report tells of it
        yield (
            one.cell.label,
            one.cell.target,
            parquet.read_table(path, columns=["language", "id", "gold", "prediction"]),
        )
