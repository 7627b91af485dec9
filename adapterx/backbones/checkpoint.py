"""The files of a checkpoint directory: which are needed, and what they are refused for. Nothing is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapterx.backbones.errors import BackboneError
from adapterx.reading import LARGEST_CONFIG, MEGABYTE, UnreadableFile, read_json, regular
from adapterx.wording import plain, shown

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Names the shards of weights that are kept in several files."""
LARGEST_INDEX = 10 * MEGABYTE
LARGEST_TOKENIZER = 100 * MEGABYTE
"""Bytes; XLM-R's has 17 million, those of the largest vocabularies about thirty."""


def check_names(names: Collection[str], model: str) -> None:
    """Raise BackboneError unless these file names make a checkpoint that adapterx can use."""
    if CONFIG not in names:
        raise BackboneError(f"{model} has no {CONFIG}, so it is not a checkpoint")
    if WEIGHTS not in names and INDEX not in names:
        pickled = next((f" but {name}" for name in sorted(names) if name.endswith((".bin", ".pt", ".pth"))), "")
        raise BackboneError(
            f"{model} has no {WEIGHTS}{pickled}; pickled weights are never loaded, because they can run code: save the "
            "model again with save_pretrained, or take a revision that has safetensors"
        )
    if TOKENIZER not in names:
        raise BackboneError(
            f"{model} has no {TOKENIZER}; save its fast tokenizer beside the weights "
            '(AutoTokenizer.from_pretrained("…").save_pretrained("…"))'
        )


def read_config(path: Path, model: str) -> dict[str, Any]:
    """The settings in a `config.json`, as they stand there."""
    return _mapping(path, f"{CONFIG} of {model}")


def weight_files(directory: Path, model: str) -> list[Path]:
    """The weight files of a checkpoint, sorted; BackboneError if one is missing."""
    if (directory / WEIGHTS).exists():
        check_regular(directory / WEIGHTS, model)
        return [directory / WEIGHTS]
    shards = shard_names(directory / INDEX, model)
    missing = [name for name in shards if not (directory / name).exists()]
    if missing:
        raise BackboneError(f"{model} lacks {missing[0]}, which its {INDEX} names; fetch or save the checkpoint again")
    for name in shards:
        check_regular(directory / name, model)
    return [directory / name for name in shards]


def shard_names(index: Path, model: str) -> list[str]:
    """The file names in a shard index, sorted. A name that leads out of the directory is refused."""
    shards = _mapping(index, f"{INDEX} of {model}").get("weight_map")
    named = list(shards.values()) if isinstance(shards, dict) else []
    if wrong := [name for name in named if not _is_shard(name)]:
        raise BackboneError(
            f"{INDEX} of {plain(model, None)} does not name safetensors files ({shown(wrong[0])} is none); save the "
            "checkpoint again"
        )
    if not named:
        raise BackboneError(
            f"{INDEX} of {plain(model, None)} does not name safetensors files; save the checkpoint again"
        )
    return sorted(set(named))


def _is_shard(name: object) -> bool:
    """Whether this is the name of a safetensors file beside the index."""
    if not isinstance(name, str) or not name.isprintable() or len(name.encode()) > 255:
        return False
    return name.endswith(".safetensors") and Path(name).name == name


def check_regular(path: Path, model: str, largest: int | None = None) -> None:
    """Raise BackboneError for a pipe, a device or a directory in a file's place, and for one of more bytes."""
    try:
        regular(path, largest)
    except FileNotFoundError:
        raise BackboneError(f"{plain(model, None)} lacks {path.name}; fetch or save the checkpoint again") from None
    except UnreadableFile as error:
        raise BackboneError(f"{path.name} of {plain(model, None)} {error}") from None


def _mapping(path: Path, what: str) -> dict[str, Any]:
    try:
        content = read_json(path, LARGEST_INDEX if path.name == INDEX else LARGEST_CONFIG)
    except FileNotFoundError:
        raise BackboneError(f"{what} is missing; fetch or save the checkpoint again") from None
    except UnreadableFile as error:
        raise BackboneError(f"{what} {error}") from None
    if not isinstance(content, dict):
        raise BackboneError(f"{what} is not a JSON object")
    return content


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits; read once per process and content."""
    status = path.stat()
    return _hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
