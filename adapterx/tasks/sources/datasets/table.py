"""Arrow files as the `datasets` library writes them, which are read without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapterx.reading import UnreadableFile, parse_json
from adapterx.tasks.sources import arrow, files
from adapterx.tasks.sources.files import Row

_FEATURES = b"huggingface"
"""Where the schema of an Arrow file of the library has its types, as JSON."""
Names = Mapping[str, tuple[str, ...]]
"""The names of class labels, by column, in the order of their numbers."""


@dataclass(frozen=True)
class ArrowRows:
    """The rows of a split, over one or more files of Arrow's streaming format."""

    name: str
    """What messages call it."""
    files: tuple[Path, ...]

    def count(self) -> int:
        """Rows of all files, by the headers of their batches."""
        return sum(_count(path, self.name, *files.stamp(path)) for path in self.files)

    def names(self) -> Names:
        """The names of class labels, as the first file has them."""
        for path in self.files:
            with arrow.readable(self.name), closing(_opened(path)) as stream:
                return _names(stream.schema)
        return {}

    def rows(self, columns: list[str]) -> Iterator[tuple[str, Row]]:
        """Rows with their places, numbered through; only these columns. Raises DataError."""
        return arrow.rows((batch for path in self.files for batch in _batches(path, self.name, columns)), self.name)


def named(rows: Iterable[tuple[str, Row]], names: Names) -> Iterator[tuple[str, Row]]:
    """The same rows with the names of class labels in place of their numbers, in these columns."""
    for place, row in rows:
        yield place, {**row, **{column: _name(row[column], names[column]) for column in names if column in row}}


def _name(value: Any, names: tuple[str, ...]) -> Any:
    """A number's name, of a list each; what is no number of a class stays."""
    if isinstance(value, list):
        return [_name(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def _batches(path: Path, name: str, columns: list[str]) -> Iterator[Any]:
    with closing(_opened(path)) as stream:
        arrow.check_columns(columns, stream.schema, name)
        outer = [field.name for field in stream.schema]
        top = list(dict.fromkeys(column if column in outer else column.split(".")[0] for column in columns))
        for batch in stream:
            some = batch.select(top)
            some.validate(full=True)  # offsets of a damaged file would lead outside its memory
            yield some


@lru_cache(maxsize=4096)
def _count(path: Path, name: str, _bytes: int, _modified: int) -> int:
    with arrow.readable(name), closing(_opened(path)) as stream:
        return sum(batch.num_rows for batch in stream)


def _opened(path: Path) -> Any:
    """A stream of record batches over a file that is mapped into memory."""
    import pyarrow

    files.stamp(path)  # a pipe would be waited for
    return pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))


def _names(schema: Any) -> Names:
    """The names that the library noted in a schema; none where it did not write it."""
    try:
        features = parse_json(schema.metadata[_FEATURES])["info"]["features"].items()
    except (UnreadableFile, KeyError, TypeError, AttributeError):
        return {}
    found = {column: _class_names(feature) for column, feature in features}
    return {column: names for column, names in found.items() if names}


def _class_names(feature: Any) -> tuple[str, ...]:
    """The names of a class label, or of a list of them."""
    while isinstance(feature, dict) and "feature" in feature:
        feature = feature["feature"]
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return ()
    names = feature.get("names")
    return tuple(map(str, names)) if isinstance(names, list) else ()
