"""What the `datasets` library has made of a configuration, kept in the cache under a name of its content.

Each configuration has a directory with the library's Arrow files and, written last, `prepared.json`, which names the
files of each split. What is there is read without the library and without the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapterx import places
from adapterx.config.problems import did_you_mean
from adapterx.reading import read_json
from adapterx.store.atomic import write_json
from adapterx.store.identity import JSON, fingerprint
from adapterx.tasks.sources.datasets import library
from adapterx.tasks.sources.datasets.library import DatasetRequest
from adapterx.tasks.sources.datasets.table import ArrowRows
from adapterx.tasks.sources.errors import DataError
from adapterx.wording import plain

_VERSION = 1
"""Raised when the same data are to be prepared again."""
_NOTE = "prepared.json"


def known(asked: DatasetRequest, content: JSON, split: str) -> ArrowRows | None:
    """The rows of a split if they are prepared; DataError where the dataset has no such split.

    Args:
        content: names what is read and how, in every process.
    """
    directory = _directory(content)
    splits = _noted(directory)
    return None if splits is None else _table(asked, directory, splits, split)


def table(asked: DatasetRequest, content: JSON, split: str) -> ArrowRows:
    """The same, prepared if it is not yet. Raises DataError, HubError."""
    if (found := known(asked, content, split)) is not None:
        return found
    directory = _directory(content)
    directory.mkdir(parents=True, exist_ok=True)
    made = library.prepare(asked, directory)
    splits = {name: [str(path.relative_to(directory)) for path in paths] for name, paths in made.items()}
    write_json(directory / _NOTE, {"splits": splits})
    return _table(asked, directory, splits, split)


def _table(asked: DatasetRequest, directory: Path, splits: Mapping[str, list[str]], split: str) -> ArrowRows:
    if split not in splits:
        hint = did_you_mean(split, list(splits))
        raise DataError(f"{asked.name}: has no split {split!r}" + (f" ({plain(hint, longest=400)})" if hint else ""))
    name = asked.name if asked.files else f"{asked.name} ({split})"
    return ArrowRows(name, tuple(directory / path for path in splits[split]))


def _directory(content: JSON) -> Path:
    return places.cache() / "datasets" / fingerprint({"version": _VERSION, "content": content})


def _noted(directory: Path) -> Mapping[str, list[str]] | None:
    """The files of each split, if all of them are there."""
    try:
        noted = read_json(directory / _NOTE)["splits"]
        splits = {str(split): list(map(str, paths)) for split, paths in noted.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    there = all((directory / path).is_file() for paths in splits.values() for path in paths)
    return splits if there else None
