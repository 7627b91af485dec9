"""Rows of Arrow record batches, a batch of them as Python objects at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapterx.config.problems import did_you_mean
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.files import Row
from adapterx.tasks.sources.selection import flat
from adapterx.wording import plain

BATCH = 1024
"""Rows that are Python objects at once."""


def rows(batches: Iterable[Any], name: str) -> Iterator[tuple[str, Row]]:
    """Rows with their places for messages, which count from 0.

    Args:
        batches: pyarrow's record batches.
        name: of the file that they come from.

    Raises DataError, also for what such a file may hold but no text.
    """
    number = 0
    with readable(name):
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH):
                try:
                    some = batch.slice(start, BATCH).to_pylist()
                except UnicodeDecodeError as error:
                    raise DataError(f"{name}: holds a text that is not UTF-8, after row {number - 1}") from error
                for row in some:
                    yield f"{name}, row {number}", flat(row)
                    number += 1


def parquet(path: Path, name: str, columns: list[str]) -> Iterator[tuple[str, Row]]:
    """Rows of a parquet file, row group after row group, only the columns that are asked for."""
    import pyarrow.parquet

    with readable(name), pyarrow.parquet.ParquetFile(path) as file:
        check_columns(columns, file.schema_arrow, name)
        yield from rows(file.iter_batches(BATCH, columns=columns), name)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what pyarrow raises of a file into an error that names it."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: cannot be read ({plain(str(error), longest=200)})") from error


def check_columns(columns: Iterable[str], schema: Any, name: str) -> None:
    """Refuse columns that are neither in a schema nor a field of a struct there, at whatever depth."""
    known = list(_fields(schema))
    for column in columns:
        if column not in known:
            hint = did_you_mean(column, known)
            raise DataError(f"{name}: has no column {column!r}" + (f" ({hint})" if hint else ""))


def _fields(fields: Iterable[Any], above: str = "") -> Iterator[str]:
    """The names of fields, those of structs with the names above them."""
    import pyarrow

    for field in fields:
        yield f"{above}{field.name}"
        if pyarrow.types.is_struct(field.type):
            inner = (field.type.field(place) for place in range(field.type.num_fields))
            yield from _fields(inner, f"{above}{field.name}.")
