"""Examples from parquet files of a dataset on the Hub, a batch of rows in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from adapterx.config.problems import did_you_mean
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources.entry import Entry, LeftOut
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.files import Row
from adapterx.tasks.sources.hub import files as hub_files
from adapterx.tasks.sources.hub.files import Listing
from adapterx.tasks.sources.rows import Reading, kept
from adapterx.wording import plain, shown

if TYPE_CHECKING:
    from adapterx.tasks.sources.hub.spec import HubRows, HubSource
    from adapterx.tasks.spec import TaskSpec

_BATCH = 1024  # rows that are Python objects at once

_LAYOUTS = (
    "{config}/{split}/*.parquet",  # the Hub's own conversion, branch refs/convert/parquet
    "{config}/{split}-*.parquet",  # what `push_to_hub` of the datasets library writes for a configuration
    "{config}/{split}.parquet",
)
_ROOT_LAYOUTS = ("data/{split}-*.parquet", "data/{split}.parquet", "{split}-*.parquet", "{split}.parquet")
"""Where a dataset has no configurations but `default`."""


def stream(spec: TaskSpec, source: HubSource, language: str, split: Split) -> Iterator[Entry]:
    """The examples of a split, in the order of the files, or why a row is left out; none where there is no such split.

    Files are fetched when their turn comes. Raises DataError naming dataset, file and row or column.
    """
    rows = source.rows(language, split)
    if rows is None:
        return
    found = hub_files.listing(source.dataset, source.revision)
    read = (row for path in _paths(found, source, rows, language) for row in _read(found, path, source, rows))
    where = _where(source, rows, language)
    reading = Reading(spec, source)
    seen: set[str] = set()
    for number, (unit, place, row) in enumerate(_units(spec, source, read)):
        if not kept(rows.fold, unit, place, row) or not _wanted(row, where):
            continue
        one = reading.entry(f"{split}-{number}", place, row)
        if split == "test" and not isinstance(one, LeftOut):
            if one.id in seen:
                # A report pairs scores by item, so an id must mean one item.
                raise DataError(f"{place}: the id {shown(one.id)} stands at more than one item")
            seen.add(one.id)
        yield one


def size(source: HubSource, language: str, split: Split) -> int | None:
    """How many examples a split has, by its files' metadata; None where rows are chosen by what they say."""
    rows = source.rows(language, split)
    if rows is None:
        return 0
    found = hub_files.listing(source.dataset, source.revision)
    return _counted(found, source, rows, language)


def known_size(source: HubSource, language: str, split: Split) -> int | None:
    """The same as far as it is known without the network."""
    rows = source.rows(language, split)
    if rows is None:
        return 0
    found = hub_files.remembered(source.dataset, source.revision)
    if found is None:
        return None
    try:
        paths = _paths(found, source, rows, language)
    except DataError:
        return None
    here = all(path in found.rows or hub_files.cached(found.dataset, found.commit, path) for path in paths)
    return _counted(found, source, rows, language) if here else None


def at_hand(source: HubSource, language: str, split: Split) -> bool:
    """Whether a split can be read without the network."""
    rows = source.rows(language, split)
    if rows is None:
        return True
    found = hub_files.remembered(source.dataset, source.revision)
    if found is None:
        return False
    try:
        paths = _paths(found, source, rows, language)
    except DataError:
        return False
    return all(hub_files.cached(found.dataset, found.commit, path) for path in paths)


def fetch(source: HubSource, language: str, split: Split) -> None:
    """Download the files of a split that are not here yet."""
    if (rows := source.rows(language, split)) is not None:
        found = hub_files.listing(source.dataset, source.revision)
        for path in _paths(found, source, rows, language):
            hub_files.download(found.dataset, found.commit, path)


def digest(source: HubSource, language: str, split: Split) -> dict[str, JSON]:
    """What decides the rows of a split: the content of its files in order, and which of their rows are kept.

    Blobs name content, so another commit that holds the same files comes to the same.
    """
    rows = source.rows(language, split)
    if rows is None:
        return {"blobs": []}
    found = hub_files.listing(source.dataset, source.revision)
    blobs: list[JSON] = [found.files[path].id for path in _paths(found, source, rows, language)]
    chosen = rows.model_dump(mode="json", include={"where", "fold"}, exclude_defaults=True)
    if rows.where:
        chosen["where"] = {column: list(values) for column, values in _where(source, rows, language).items()}
    return {"blobs": blobs, **chosen}


def _counted(found: Listing, source: HubSource, rows: HubRows, language: str) -> int | None:
    paths = _paths(found, source, rows, language)
    by_passage = rows.fold is not None and ("answers" in source.columns or rows.fold.by is not None)
    if rows.where or "drop" in (source.misplaced, source.missing) or by_passage:
        return None
    total = sum(hub_files.count(found, path) for path in paths)
    return total if rows.fold is None else sum(kept(rows.fold, number) for number in range(total))


def _paths(found: Listing, source: HubSource, rows: HubRows, language: str) -> list[str]:
    """The files of a split, in order; DataError naming what the dataset has instead."""
    code = source.codes.get(language, language)
    config = (rows.config or source.config).replace("{language}", code)
    split = rows.split.replace("{language}", code)
    layouts = rows.paths or (*_LAYOUTS, *(_ROOT_LAYOUTS if config == "default" else ()))
    for layout in layouts:
        pattern = layout.replace("{config}", config).replace("{split}", split).replace("{language}", code)
        if matching := sorted(path for path in found.files if _matches(path, pattern)):
            return matching
    raise DataError(_nothing(found, config, split, rows))


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and PurePosixPath(path).match(pattern)


def _nothing(found: Listing, config: str, split: str, rows: HubRows) -> str:
    where = f"the dataset {found.dataset} at {found.commit[:12]}"
    if not found.files:
        return f"{where} has no parquet files; its branch refs/convert/parquet may have some"
    if rows.paths:
        return f"{where} has no file that matches {' or '.join(rows.paths)} (config {config!r}, split {split!r})"
    configs = sorted({path.split("/")[0] for path in found.files if "/" in path})
    if config not in configs:
        hint = did_you_mean(config, configs)
        return f"{where} has no config {config!r}" + (f" ({hint})" if hint else "")
    inside = [path.removeprefix(f"{config}/") for path in found.files if path.startswith(f"{config}/")]
    splits = sorted({re.sub(r"(-\d+-of-\d+)?\.parquet$|/.*$", "", path) for path in inside})
    hint = did_you_mean(split, splits)
    return f"{where} has no split {split!r} of {config!r}" + (f" ({hint})" if hint else "")


def _read(found: Listing, path: str, source: HubSource, rows: HubRows) -> Iterator[tuple[str, Row]]:
    """Rows with their places for messages: row group after row group, only the columns that are asked for."""
    import pyarrow
    import pyarrow.parquet

    local = hub_files.download(found.dataset, found.commit, path)
    name, number = f"{found.dataset}: {path}", 0
    try:
        with pyarrow.parquet.ParquetFile(local) as file:
            columns = _columns(source, rows)
            _check_columns(columns, file.schema_arrow, name)
            for batch in file.iter_batches(_BATCH, columns=columns):
                for row in batch.to_pylist():
                    yield f"{name}, row {number}", _flat(row)
                    number += 1
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: holds a text that is not UTF-8, after row {number - 1}") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: cannot be read ({plain(str(error), longest=200)})") from error


def _columns(source: HubSource, rows: HubRows) -> list[str]:
    """Every column that is looked at, each once."""
    written = [one for given in source.columns.values() for one in ((given,) if isinstance(given, str) else given)]
    named = [key for one in written for key in _named(one)]
    by = [rows.fold.by] if rows.fold is not None and rows.fold.by is not None else []
    return list(dict.fromkeys([*named, *rows.where, *by]))


def _named(column: str) -> list[str]:
    """The columns that a template is made of, or the column itself."""
    return re.findall(r"\{(\w+)\}", column) if "{" in column else [column]


def _units(spec: TaskSpec, source: HubSource, read: Iterable[tuple[str, Row]]) -> Iterator[tuple[int, str, Row]]:
    """Rows with the number that a fold goes by: the row's own, of extractive QA the passage's."""
    if not spec.kind.passages:
        yield from ((number, place, row) for number, (place, row) in enumerate(read))
        return
    columns = _named(str(source.columns["context"]))
    number, before = -1, None
    for place, row in read:
        passage = [row[column] for column in columns]
        number, before = number + (passage != before), passage
        yield number, place, row


def _check_columns(columns: list[str], schema: Any, name: str) -> None:
    known = [one.name for one in schema]
    for field in schema:
        inner = field.type
        known += [f"{field.name}.{inner.field(place).name}" for place in range(_width(inner))]
    for column in columns:
        if column not in known:
            hint = did_you_mean(column, known)
            raise DataError(f"{name}: has no column {column!r}" + (f" ({hint})" if hint else ""))


def _width(type_: Any) -> int:
    """Fields of a struct; other types have none."""
    import pyarrow

    return int(type_.num_fields) if pyarrow.types.is_struct(type_) else 0


def _flat(row: Mapping[str, Any]) -> Row:
    """A row with the fields of its structs beside them, under dotted names."""
    inner = {
        f"{name}.{field}": value
        for name, struct in row.items()
        if isinstance(struct, dict)
        for field, value in struct.items()
    }
    return {**row, **inner} if inner else row


def _where(source: HubSource, rows: HubRows, language: str) -> Mapping[str, tuple[str, ...]]:
    """The values asked for, in the dataset's own name of the language."""
    code = source.codes.get(language, language)
    return {column: tuple(one.replace("{language}", code) for one in values) for column, values in rows.where.items()}


def _wanted(row: Row, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(any(_fits(str(row[column]), value) for value in values) for column, values in where.items())


def _fits(text: str, value: str) -> bool:
    return text.startswith(value[:-1]) if value.endswith("*") else text == value
