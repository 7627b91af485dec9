"""`adapterx.json`: what the libraries' own files do not say of an exported adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from adapterx.formats.errors import FormatError
from adapterx.formats.files import METADATA, read_config, write_config
from adapterx.tasks.examples import Format

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
    format: Format
    labels: tuple[str, ...]
    max_length: int
    """Tokens to which texts were cut in training."""
    adapters: tuple[str, ...] = (".",)
    """Directories of the active adapters, the lowest first; the head lies in the last."""
    languages: Mapping[str, str] = field(default_factory=dict)
    """Directory of the lowest adapter for each language that has its own; empty where one serves all."""


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
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    try:
        found = Metadata(**values)
    except TypeError as error:
        raise FormatError(f"{path} is not what an export writes: {error}") from None
    if wrong := _wrong(content, found):
        raise FormatError(f"{path} is not what an export writes: {wrong} is {content[wrong]!r}")
    return found


def _wrong(content: Mapping[str, Any], found: Metadata) -> str | None:
    """A key whose value cannot be right."""
    whole = ("layers", "hidden", "max_length")
    texts = ("recipe", "cell", "stage", "model", "backbone", "load", "architecture", "task")
    checks = {
        **{key: type(content[key]) is int and content[key] > 0 for key in whole},
        **{key: isinstance(content[key], str) for key in texts},
        "revision": found.revision is None or isinstance(found.revision, str),
        "format": found.format in get_args(Format),
        "labels": bool(content["labels"]) != (found.format == "extractive-qa")
        and all(isinstance(label, str) for label in content["labels"]),
        # A directory may come from elsewhere: its parts are names beside the file, never a way out.
        "adapters": bool(content["adapters"]) and all(_inside(part) for part in content["adapters"]),
        "languages": isinstance(found.languages, dict) and all(map(_inside, found.languages.values())),
    }
    return next((key for key, right in checks.items() if not right), None)


def _inside(part: object) -> bool:
    return isinstance(part, str) and (part == "." or (Path(part).name == part and part != ".."))
