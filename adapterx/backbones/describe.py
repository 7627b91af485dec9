"""What a backbone is, from its name and its configuration alone: nothing is loaded, torch is not imported."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from adapterx.backbones import embedded
from adapterx.plan.stage import BackboneInfo
from adapterx.recipe import Backbone

ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")
"""The architectures adapterx builds itself. A configuration that names any other is refused, whatever it contains."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")
FILES = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "sentencepiece.bpe.model",
)
"""What is fetched from the Hub: no code, no pickles."""


class BackboneError(ValueError):
    """A backbone that cannot be used; the message names it, and says what to do."""


def describe(backbone: Backbone) -> BackboneInfo:
    """Sizes and content key of a backbone.

    Reads the header of the embedded file, a local `config.json`, or the Hub's. Two recipes that mean the same weights
    get the same key, whatever they call them. Raises BackboneError.
    """
    if backbone.model.startswith(embedded.PREFIX):
        return _describe_embedded(backbone.model)
    local = local_directory(backbone.model)
    if local is not None:
        return info(_read_config(local / "config.json"), f"local:{_content_key(local)}", backbone.model)
    commit, config = _hub_config(backbone.model, backbone.revision)
    return info(config, f"hub:{backbone.model}@{commit}", backbone.model)


def cache_directory() -> Path:
    """Where converted backbones are kept: $ADAPTERX_CACHE, or adapterx in the user's cache directory."""
    base = os.environ.get("ADAPTERX_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adapterx"


def embedded_layers(model: str) -> int | None:
    """How many layers `embedded/e5-small@N` keeps; None for all of them. Raises BackboneError for another name."""
    match = re.fullmatch(rf"{re.escape(embedded.PREFIX + embedded.NAME)}(?:@(\d+))?", model)
    if match is None:
        raise BackboneError(
            f"unknown embedded backbone {model!r}: there is {embedded.PREFIX}{embedded.NAME}, and "
            f"{embedded.PREFIX}{embedded.NAME}@N for its first N layers"
        )
    return None if match[1] is None else int(match[1])


def local_directory(model: str) -> Path | None:
    """The directory that a recipe's `model` names, if it names one."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if model.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(model):
        raise BackboneError(f"no directory {model}: give a local checkpoint, a Hub id, or embedded/{embedded.NAME}")
    return None


def info(config: Mapping[str, Any], key: str, name: str) -> BackboneInfo:
    """The sizes in a configuration of one of the known architectures."""
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise BackboneError(
            f"{name} is of architecture {architecture!r}; adapterx runs {' and '.join(ARCHITECTURES)} encoders"
        )
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    missing = [size for size in (*sizes, "max_position_embeddings") if type(config.get(size)) is not int]
    if missing:
        raise BackboneError(f"the configuration of {name} gives no whole number for {', '.join(missing)}")
    padding = int(config.get("pad_token_id", 1))
    return BackboneInfo(
        key=key,
        architecture=cast(Literal["xlm-roberta", "xlm-roberta-xl"], architecture),
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        intermediate=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        # The first position is padding index + 1.
        max_positions=config["max_position_embeddings"] - padding - 1,
    )


def _describe_embedded(model: str) -> BackboneInfo:
    layers = embedded_layers(model)
    try:
        header, source = embedded.read_header(), embedded.source_key()
    except embedded.EmbeddedBackboneError as error:
        raise BackboneError(str(error)) from error
    kept = header.layers if layers is None else layers
    if not 1 <= kept <= header.layers:
        raise BackboneError(
            f"{model}: {embedded.PREFIX}{embedded.NAME} has {header.layers} layers, keep 1 to {header.layers}"
        )
    config = {**header.config(), "num_hidden_layers": kept}
    return info(config, f"embedded:{source}@{kept}", model)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BackboneError(f"{path.parent} has no config.json, so it is not a checkpoint") from error
    except ValueError as error:
        raise BackboneError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise BackboneError(f"{path} is not a configuration")
    return config


def _content_key(directory: Path) -> str:
    """SHA-256 over the configuration and the weight files; files are hashed once per process and content."""
    paths = sorted(directory.glob("*.safetensors"))
    if not paths:
        raise BackboneError(
            f"{directory} has no .safetensors file (pickled weights are never loaded); save the model with "
            "save_pretrained(..., safe_serialization=True)"
        )
    digest = hashlib.sha256()
    for path in [directory / "config.json", *paths, *sorted(directory.glob("tokenizer*.json"))]:
        status = path.stat()
        digest.update(f"{path.name}:{_file_key(path, status.st_size, status.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _file_key(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hub_config(model: str, revision: str | None) -> tuple[str, dict[str, Any]]:
    """The commit that `revision` means today, and the configuration at that commit."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        commit = (
            revision if revision and _COMMIT.fullmatch(revision) else HfApi().model_info(model, revision=revision).sha
        )
        if commit is None:
            raise BackboneError(f"the Hub names no commit for {model} at {revision or 'main'}")
        path = hf_hub_download(model, "config.json", revision=commit)
    except LocalEntryNotFoundError as error:
        raise BackboneError(
            f"{model} at {revision} is neither in the local Hub cache nor can the Hub be reached; "
            "check the connection, or download the model first"
        ) from error
    except EntryNotFoundError as error:
        raise BackboneError(f"{model} has no config.json at {revision or 'main'}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise BackboneError(
            f"the Hub does not give {model} at revision {revision or 'main'} ({status}): check the name and the revision, "
            "and log in with `huggingface-cli login` if the repository is private"
        ) from error
    except (OfflineModeIsEnabled, ConnectionError, OSError) as error:
        pin = "" if revision else "; pin its `revision:` to a commit to plan from the local Hub cache"
        raise BackboneError(f"the Hub cannot be reached to look up {model}{pin}") from error
    return commit, _read_config(Path(path))
