"""Examples from what the `datasets` library reads: where a split's rows are, and what decides them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources import selection
from adapterx.tasks.sources.datasets import prepared, saved
from adapterx.tasks.sources.datasets.library import DatasetRequest
from adapterx.tasks.sources.datasets.table import ArrowRows, Names, named
from adapterx.tasks.sources.entry import Entry
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.sources.files import digest_of, root
from adapterx.tasks.sources.hub import files as hub_files

if TYPE_CHECKING:
    from adapterx.tasks.sources.datasets.spec import DatasetsRows, DatasetsSource
    from adapterx.tasks.spec import TaskSpec

_MOST_FILES = 10_000
"""In a folder; all of them are hashed."""
_FILES_SPLIT = "train"
"""What the library calls files that are given to a builder."""


def stream(spec: TaskSpec, source: DatasetsSource, language: str, split: Split) -> Iterator[Entry]:
    """The examples of a split, or why a row is left out; prepared first where they are not. Raises DataError."""
    rows = source.rows(language, split)
    if rows is None:
        return
    found = table(source, rows, language)
    read = named(found.rows(selection.columns(source, rows)), _labels(spec, source, found.names()))
    yield from selection.examples(spec, source, rows, source.code(language), split, read)


def table(source: DatasetsSource, rows: DatasetsRows, language: str) -> ArrowRows:
    """The rows of a split, prepared if they are not yet."""
    if source.directory is not None and saved.is_saved(where := directory(source, language)):
        return _saved(source, rows, language, where)
    asked, content = _asked(source, rows, language)
    return prepared.table(asked, content, _split(source, rows, language))


def known(source: DatasetsSource, rows: DatasetsRows, language: str) -> ArrowRows | None:
    """The same of a dataset on the Hub, if it is prepared, without the network."""
    assert source.dataset is not None
    found = hub_files.remembered(source.dataset, source.revision)
    if found is None:
        return None
    asked, content = _of_hub(source, rows, language, found.commit)
    try:
        return prepared.known(asked, content, _split(source, rows, language))
    except DataError:
        return None


def digest(source: DatasetsSource, language: str, split: Split) -> dict[str, JSON]:
    """What decides the rows of a split: the content that is read, the configuration and split, which rows are kept."""
    rows = source.rows(language, split)
    if rows is None:
        return {}
    chosen = rows.chosen(source.code(language))
    if source.directory is not None and saved.is_saved(where := directory(source, language)):
        return {"sha256": [digest_of(path) for path in _saved(source, rows, language, where).files], **chosen}
    _, content = _asked(source, rows, language)
    # What files of a builder hold is one split, however it is called.
    own: dict[str, JSON] = {} if source.builder else {"split": _split(source, rows, language)}
    return {"content": content, **own, **chosen}


def files(source: DatasetsSource, rows: DatasetsRows, language: str) -> list[Path]:
    """The files here that a split is read from; MissingData where there are none."""
    if source.builder is not None:
        return [root() / path.replace("{language}", source.code(language)) for path in rows.paths or ()]
    where = directory(source, language)
    return list(_saved(source, rows, language, where).files) if saved.is_saved(where) else _folder(where)


def directory(source: DatasetsSource, language: str) -> Path:
    """What the source names, in a language."""
    assert source.directory is not None
    return root() / source.directory.replace("{language}", source.code(language))


def _saved(source: DatasetsSource, rows: DatasetsRows, language: str, where: Path) -> ArrowRows:
    if source.config is not None or rows.config is not None:
        raise DataError(f"{where}: was saved by `save_to_disk`, and has no configurations; leave `config` out")
    return saved.table(where, _split(source, rows, language))


def _asked(source: DatasetsSource, rows: DatasetsRows, language: str) -> tuple[DatasetRequest, JSON]:
    """What the library is asked for, and what names the content of it."""
    if source.dataset is not None:
        return _of_hub(source, rows, language, hub_files.listing(source.dataset, source.revision).commit)
    paths = files(source, rows, language)
    if source.builder is not None:
        digests: JSON = {"builder": source.builder, "sha256": [digest_of(path) for path in paths]}
        return DatasetRequest(source.builder, ", ".join(map(str, paths)), files=tuple(paths)), digests
    where, config = directory(source, language), _config(source, rows, language)
    hashed: dict[str, JSON] = {path.relative_to(where).as_posix(): digest_of(path) for path in paths}
    return DatasetRequest(str(where), str(where), config), {"files": hashed, "config": config}


def _of_hub(source: DatasetsSource, rows: DatasetsRows, language: str, commit: str) -> tuple[DatasetRequest, JSON]:
    assert source.dataset is not None
    config = _config(source, rows, language)
    name = source.dataset if config is None else f"{source.dataset} ({config})"
    content: JSON = {"dataset": source.dataset, "commit": commit, "config": config}
    return DatasetRequest(source.dataset, name, config, commit), content


def _config(source: DatasetsSource, rows: DatasetsRows, language: str) -> str | None:
    config = source.config if rows.config is None else rows.config
    return None if config is None else config.replace("{language}", source.code(language))


def _split(source: DatasetsSource, rows: DatasetsRows, language: str) -> str:
    return _FILES_SPLIT if source.builder is not None else rows.split.replace("{language}", source.code(language))


def _folder(where: Path) -> list[Path]:
    """All files of a folder but hidden ones, in order."""
    if not where.is_dir():
        raise MissingData(f"{where}: no such directory (`directory` is seen from the data directory)")
    found = []
    for path in where.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(where).parts):
            found.append(path)
        if len(found) > _MOST_FILES:
            raise DataError(f"{where}: has more than {_MOST_FILES:,} files; name a folder of the data alone")
    if not found:
        raise MissingData(f"{where}: has no files")
    return sorted(found)


def _labels(spec: TaskSpec, source: DatasetsSource, names: Names) -> Mapping[str, tuple[str, ...]]:
    """The class labels that are read by their names: those of the label, where every name reads as one of the task's.

    Of others the numbers stand, in the order of the task's labels.
    """
    found = {}
    for column in (source.columns.get(field) for field in ("label", "tags")):
        if isinstance(column, str) and column in names:
            meant = {**source.values.get("label", {}), **source.values.get(column, {})}
            if all(meant.get(name, name) in spec.labels for name in names[column]):
                found[column] = names[column]
    return found
