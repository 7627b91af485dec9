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
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
"""The same as pickles, which `pickled` reads without running code; only where there are no safetensors."""
MASKED_LM = {
    "lm_head.dense.weight": "dense.weight",
    "lm_head.dense.bias": "dense.bias",
    "lm_head.layer_norm.weight": "norm.weight",
    "lm_head.layer_norm.bias": "norm.bias",
    "lm_head.bias": "output.bias",
}
"""The masked-LM head's tensors, with the names that `methods.masked_lm` gives them; `lm_head.decoder` is the embedding
of tokens and this bias once more."""
LARGEST_INDEX = 10 * MEGABYTE
LARGEST_TOKENIZER = 100 * MEGABYTE
"""Bytes; XLM-R's has 17 million, those of the largest vocabularies about thirty."""


def check_names(names: Collection[str], model: str) -> None:
    """Raise BackboneError unless these file names make a checkpoint that adapterx can use."""
    if CONFIG not in names:
        raise BackboneError(f"{model} has no {CONFIG}, so it is not a checkpoint")
    if _weights_name(names) is None:
        other = next((f" but {name}" for name in sorted(names) if name.endswith((".bin", ".pt", ".pth", ".ckpt"))), "")
        raise BackboneError(
            f"{model} has no {WEIGHTS}{plain(other)}: save the model again with save_pretrained, or take a revision "
            f"that has {WEIGHTS} or {PICKLE}, or their shards with an index"
        )
    if TOKENIZER not in names:
        raise BackboneError(
            f"{model} has no {TOKENIZER}; save its fast tokenizer beside the weights "
            '(AutoTokenizer.from_pretrained("…").save_pretrained("…"))'
        )


def _weights_name(names: Collection[str]) -> str | None:
    """The file that holds the weights or names their shards: the first of those that may."""
    return next((name for name in (WEIGHTS, INDEX, PICKLE, PICKLE_INDEX) if name in names), None)


def names_in(directory: Path) -> set[str]:
    """The names of a directory's files."""
    return {path.name for path in directory.iterdir()}


def is_pickled(names: Collection[str]) -> bool:
    """Whether a checkpoint of these file names has its weights as pickles only."""
    return _weights_name(names) in (PICKLE, PICKLE_INDEX)


def single_or_index(names: Collection[str]) -> str:
    """Of names that `check_names` accepts: the file of all weights, or the index of their shards."""
    return _weights_name(names) or WEIGHTS


def read_config(path: Path, model: str) -> dict[str, Any]:
    """The settings in a `config.json`, as they stand there."""
    return _mapping(path, f"{CONFIG} of {model}")


def weight_files(directory: Path, model: str) -> list[Path]:
    """The weight files of a checkpoint, sorted; BackboneError if one is missing."""
    weights = _weights_name(names_in(directory)) or INDEX
    if weights in (WEIGHTS, PICKLE):
        check_regular(directory / weights, model)
        return [directory / weights]
    shards = shard_names(directory / weights, model)
    missing = [name for name in shards if not (directory / name).exists()]
    if missing:
        raise BackboneError(
            f"{model} lacks {missing[0]}, which its {weights} names; fetch or save the checkpoint again"
        )
    for name in shards:
        check_regular(directory / name, model)
    return [directory / name for name in shards]


def shard_names(index: Path, model: str) -> list[str]:
    """The file names in a shard index, sorted. A name that leads out of the directory is refused.

    An index names files of its own kind only, known by its own name.
    """
    kind, ending = ("pickled", ".bin") if index.name == PICKLE_INDEX else ("safetensors", ".safetensors")
    shards = _mapping(index, f"{index.name} of {model}").get("weight_map")
    named = list(shards.values()) if isinstance(shards, dict) else []
    refused = f"{index.name} of {plain(model, None)} does not name {kind} files"
    if wrong := [name for name in named if not _is_shard(name, ending)]:
        raise BackboneError(f"{refused} ({shown(wrong[0])} is none); save the checkpoint again")
    if not named:
        raise BackboneError(f"{refused}; save the checkpoint again")
    return sorted(set(named))


def _is_shard(name: object, ending: str) -> bool:
    """Whether this is the name of a weight file beside the index."""
    if not isinstance(name, str) or not name.isprintable() or len(name.encode()) > 255:
        return False
    return name.endswith(ending) and Path(name).name == name


def check_regular(path: Path, model: str, largest: int | None = None) -> None:
    """Raise BackboneError for a pipe, a device or a directory in a file's place, and for one of more bytes."""
    try:
        regular(path, largest)
    except FileNotFoundError:
        raise BackboneError(f"{plain(model, None)} lacks {path.name}; fetch or save the checkpoint again") from None
    except UnreadableFile as error:
        raise BackboneError(f"{path.name} of {plain(model, None)} {error}") from None
    except OSError as error:  # a link to itself, say
        raise BackboneError(f"{path.name} of {plain(model, None)} cannot be read: {error.strerror}") from None


def _mapping(path: Path, what: str) -> dict[str, Any]:
    try:
        content = read_json(path, LARGEST_INDEX if path.name in (INDEX, PICKLE_INDEX) else LARGEST_CONFIG)
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
