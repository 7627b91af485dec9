"""Directories that `save_to_disk` of the `datasets` library has written, as `load_from_disk` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapterx.config.problems import did_you_mean
from adapterx.reading import read_json
from adapterx.tasks.sources.datasets.table import ArrowRows
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.sources.files import readable
from adapterx.wording import plain, shown

_STATE, _SPLITS = "state.json", "dataset_dict.json"


def is_saved(directory: Path) -> bool:
    """Whether `save_to_disk` has written a directory, of one data set or of several splits."""
    return any((directory / name).is_file() for name in (_STATE, _SPLITS))


def table(directory: Path, split: str) -> ArrowRows:
    """The rows of a split. Raises DataError naming what there is instead, or MissingData."""
    inside = directory / split
    if not (directory / _SPLITS).is_file():
        state, inside = _read(directory / _STATE), directory
        if (own := state.get("_split")) not in (None, split):
            raise DataError(f"{directory}: is the split {shown(own)}, not {split!r}")
    else:
        known = _read(directory / _SPLITS).get("splits")
        if not isinstance(known, list) or split not in known:
            hint = did_you_mean(split, list(map(str, known)) if isinstance(known, list) else [])
            raise DataError(f"{directory}: has no split {split!r}" + (f" ({plain(hint, longest=400)})" if hint else ""))
        state = _read(inside / _STATE)
    if state.get("_indices_data_files"):
        raise DataError(
            f"{inside / _STATE}: rows are chosen by a file of their own, as datasets 1 wrote it; save it again"
        )
    return ArrowRows(f"{directory} ({split})", tuple(inside / name for name in _names(state, inside / _STATE)))


def _names(state: dict[str, Any], place: Path) -> list[str]:
    """The names of the data files, which lie beside the state."""
    found = state.get("_data_files")
    names = (
        [one.get("filename") if isinstance(one, dict) else None for one in found] if isinstance(found, list) else [None]
    )
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise DataError(f"{place}: `_data_files` should be a list of names of files beside it, not {shown(found)}")
    return [str(name) for name in names]


def _read(path: Path) -> dict[str, Any]:
    """What the library noted in a file of JSON."""
    try:
        with readable(path):
            found = read_json(path)
    except MissingData:
        raise MissingData(f"{path}: no such file; the directory is not whole") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: should be a JSON object, not {shown(found)}")
    return found
