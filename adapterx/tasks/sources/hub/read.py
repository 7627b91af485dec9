"""Examples from files of a dataset on the Hub, a batch of rows in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from adapterx.config.problems import did_you_mean
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources import arrow, selection
from adapterx.tasks.sources.entry import Entry
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.files import Row
from adapterx.tasks.sources.hub import files as hub_files
from adapterx.tasks.sources.hub.files import Listing
from adapterx.tasks.sources.hub.formats import ENDINGS, PARQUET, TextFormat, ending, text_format

if TYPE_CHECKING:
    from adapterx.tasks.sources.hub.spec import HubRows, HubSource
    from adapterx.tasks.spec import TaskSpec

_LAYOUTS = (
    "{config}/{split}/*",  # the Hub's own conversion, branch refs/convert/parquet
    "{config}/{split}-*",  # what `push_to_hub` of the datasets library writes for a configuration
    "{config}/{split}",
)
_ROOT_LAYOUTS = ("data/{split}-*", "data/{split}", "{split}-*", "{split}")
"""Where a dataset has no configurations but `default`. The ends of names follow."""


def stream(spec: TaskSpec, source: HubSource, language: str, split: Split) -> Iterator[Entry]:
    """The examples of a split, in the order of the files, or why a row is left out; none where there is no such split.

    Files are fetched when their turn comes. Raises DataError naming dataset, file and row or column.
    """
    rows = source.rows(language, split)
    if rows is None:
        return
    found = hub_files.listing(source.dataset, source.revision)
    read = (row for path in _paths(found, source, rows, language) for row in _read(found, path, source, rows))
    yield from selection.examples(spec, source, rows, source.code(language), split, read)


def size(source: HubSource, language: str, split: Split) -> int | None:
    """How many examples a split has, by its files' metadata, or by reading small ones; None where rows are chosen by
    what they say, and of large text files that are not here.
    """
    rows = source.rows(language, split)
    if rows is None:
        return 0
    found = hub_files.listing(source.dataset, source.revision)
    return _counted(found, source, rows, _paths(found, source, rows, language))


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
    here = all(hub_files.counted_here(found, path, _format(source, path)) for path in paths)
    return _counted(found, source, rows, paths) if here else None


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
    """What decides the rows of a split: the content of its files in order, how it is read, and which rows are kept.

    Blobs name content, so another commit that holds the same files comes to the same.
    """
    rows = source.rows(language, split)
    if rows is None:
        return {"blobs": []}
    found = hub_files.listing(source.dataset, source.revision)
    paths = _paths(found, source, rows, language)
    blobs: list[JSON] = [found.files[path].id for path in paths]
    formats: list[JSON] = ["parquet" if (one := _format(source, path)) is None else one.name for path in paths]
    # Parquet, which was alone, is left out of identities.
    read: dict[str, JSON] = {} if {*formats} == {"parquet"} else {"formats": formats}
    return {"blobs": blobs, **read, **rows.chosen(source.code(language))}


def _counted(found: Listing, source: HubSource, rows: HubRows, paths: list[str]) -> int | None:
    if rows.counted(source, 0) is None:  # whatever the number, so that nothing is fetched for it
        return None
    total = 0
    for path in paths:
        format = _format(source, path)
        count = hub_files.count(found, path) if format is None else hub_files.count_text(found, path, format)
        if count is None:
            return None
        total += count
    return rows.counted(source, total)


def _format(source: HubSource, path: str) -> TextFormat | None:
    """How a file is read, None where it is parquet."""
    return text_format(path, source.reader, source.quotes)


def _paths(found: Listing, source: HubSource, rows: HubRows, language: str) -> list[str]:
    """The files of a split, in order; DataError naming what the dataset has instead."""
    code = source.code(language)
    config = (rows.config or source.config).replace("{language}", code)
    split = rows.split.replace("{language}", code)
    usual = (*_LAYOUTS, *(_ROOT_LAYOUTS if config == "default" else ()))
    # All layouts of parquet come before those of text, beside which it may lie.
    ends = [end for end in ENDINGS if end in found.endings]
    for layout in rows.paths or [f"{one}{end}" for end in ends for one in usual]:
        pattern = layout.replace("{config}", config).replace("{split}", split).replace("{language}", code)
        if matching := _readable(source, sorted(path for path in found.files if _matches(path, pattern))):
            return matching
    raise DataError(_nothing(found, source, config, split, rows))


def _readable(source: HubSource, paths: list[str]) -> list[str]:
    """Of files that match, those that hold rows: parquet alone where there is some, else text."""
    if source.reader is not None:
        return paths
    return [path for path in paths if path.endswith(PARQUET)] or [path for path in paths if ending(path)]


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and PurePosixPath(path).match(pattern)


def _nothing(found: Listing, source: HubSource, config: str, split: str, rows: HubRows) -> str:
    """What is said where no file is found: what there is instead."""
    where = f"the dataset {found.dataset} at {found.commit[:12]}"
    readable = [path for path in found.files if ending(path) or source.reader is not None]
    if not readable:
        return f"{where} has no parquet, CSV, TSV or JSON files; its branch refs/convert/parquet may have some"
    if rows.paths:
        return f"{where} has no file that matches {' or '.join(rows.paths)} (config {config!r}, split {split!r})"
    configs = sorted({path.split("/")[0] for path in readable if "/" in path})
    if config not in configs:
        hint = did_you_mean(config, configs)
        return f"{where} has no config {config!r}" + (f" ({hint})" if hint else "")
    inside = [path.removeprefix(f"{config}/") for path in readable if path.startswith(f"{config}/")]
    splits = sorted({re.sub(r"(-\d+-of-\d+)?(\.\w+)+$|/.*$", "", path) for path in inside})
    hint = did_you_mean(split, splits)
    return f"{where} has no split {split!r} of {config!r}" + (f" ({hint})" if hint else "")


def _read(found: Listing, path: str, source: HubSource, rows: HubRows) -> Iterator[tuple[str, Row]]:
    """Rows with their places for messages."""
    local = hub_files.download(found.dataset, found.commit, path)
    name, format = f"{found.dataset}: {path}", _format(source, path)
    if format is not None:
        return ((place, selection.flat(row)) for place, row in format.rows(local, name))
    return arrow.parquet(local, name, selection.columns(source, rows))
