"""`adapterx.json`: what the libraries' own files do not say of an exported adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from adapterx.backbones.precisions import PRECISIONS
from adapterx.files.adapter_files import METADATA, is_name, read_config, write_config
from adapterx.files.errors import FormatError
from adapterx.files.settings import LARGEST_COUNT, texts
from adapterx.tasks.kinds import kind, portable
from adapterx.wording import plain, shown

VERSION = 1


@dataclass(frozen=True)
class Metadata:
    """Where an adapter comes from, and what it needs to answer."""

    recipe: str
    cell: str
    """The cell's readable name."""
    stage: str
    """Id of the stage that trained it."""
    model: str
    """The backbone as the recipe names it."""
    revision: str | None
    """Of a backbone on the Hub, the commit."""
    backbone: str
    """Names the backbone's content: equal keys, equal weights."""
    load: str
    """The number format of the backbone's weights."""
    architecture: str
    layers: int
    hidden: int
    task: str
    """What the head was trained on."""
    format: str
    labels: tuple[str, ...]
    max_length: int
    """Tokens to which texts were cut in training."""
    adapters: tuple[str, ...] = (".",)
    """Directories of the active adapters, the lowest first; the head lies in the last."""
    languages: Mapping[str, str] = field(default_factory=dict)
    """Directory of the lowest adapter for each language that has its own; empty where one serves all."""
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """By what the weights of a merged adapter were chosen: `task`, `languages` and `items` of the dev data, and the
    `weights`; empty where they were given."""


def write(directory: Path, metadata: Metadata) -> None:
    """Write adapterx.json into an existing directory."""
    write_config(directory / METADATA, {"adapterx": VERSION, **asdict(metadata)})


def read(directory: Path) -> Metadata | None:
    """What adapterx.json says; None where there is none. FormatError for one that adapterx did not write."""
    path = directory / METADATA
    if not path.exists():
        return None
    content = read_config(path)
    if content.pop("adapterx", None) != VERSION:
        raise FormatError(f"{path} is not of this version of adapterx: export the cell again, or delete the file")
    required = {one.name for one in fields(Metadata) if one.default is MISSING and one.default_factory is MISSING}
    if lacking := sorted(required - content.keys()):
        raise FormatError(f"{path} is not what an export writes: it lacks {lacking[0]}")
    if unknown := sorted(content.keys() - {one.name for one in fields(Metadata)}):
        raise FormatError(f"{path} is not what an export writes: {plain(unknown[0])} is not known")
    if wrong := next((key for key, value in content.items() if not _RIGHT[key](value)), None):
        raise FormatError(f"{path} is not what an export writes: {wrong} is {shown(content[wrong])}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    found = Metadata(**values)
    if bool(found.labels) != kind(found.format).labelled:
        raise FormatError(f"{path} is not what an export writes: labels is {shown(content['labels'])}")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_COUNT


def _is_inside(value: object) -> bool:
    """A directory may come from elsewhere: its parts are names beside the file, never a way out."""
    return isinstance(value, str) and (value == "." or is_name(value))


_RIGHT: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("recipe", "cell", "stage", "backbone", "task"), _is_text),
    "architecture": lambda value: isinstance(value, str) and len(value) <= 80 and value.isprintable(),
    **dict.fromkeys(("layers", "hidden", "max_length"), _is_count),
    "model": _is_word,
    "revision": lambda value: value is None or _is_word(value),
    "load": lambda value: isinstance(value, str) and value in PRECISIONS,
    "format": lambda value: isinstance(value, str) and value in portable(),
    "labels": lambda value: (names := texts(value)) is not None and len(set(names)) == len(names),
    "adapters": lambda value: isinstance(value, list) and value != [] and all(map(_is_inside, value)),
    "languages": lambda value: isinstance(value, dict) and all(map(_is_inside, value.values())),
    "tuning": lambda value: isinstance(value, dict),
}
"""Whether a value may stand under each key."""
