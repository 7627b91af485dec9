"""What a backbone is, from its name and its configuration alone: nothing is loaded, torch is not imported."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from adapterx import places
from adapterx.backbones import embedded, hub
from adapterx.backbones.checkpoint import CONFIG, TOKENIZER, check_names, file_hash, read_config, weight_files
from adapterx.backbones.errors import BackboneError
from adapterx.plan.stage import BackboneInfo
from adapterx.recipe import Backbone

ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")
"""The architectures adapterx builds itself. A configuration that names any other is refused, whatever it contains."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")
_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


def describe(backbone: Backbone) -> BackboneInfo:
    """Sizes and content key of a backbone.

    Reads the header of the embedded file, a local `config.json`, or the Hub's. Two recipes that mean the same weights
    get the same key, whatever they call them. Raises BackboneError.
    """
    model = backbone.model
    is_embedded = model.startswith(embedded.PREFIX)
    local = None if is_embedded else local_directory(model)
    if backbone.revision is not None and (is_embedded or local):
        raise BackboneError(
            f"{model} is not on the Hub, so `revision: {backbone.revision}` means nothing: leave it out"
        )
    if is_embedded:
        return _describe_embedded(model)
    if local:
        check_names({path.name for path in local.iterdir()}, model)
        return info(read_config(local / CONFIG, model), f"local:{_content_key(local, model)}", model)
    commit, config = hub.resolve(model, backbone.revision)
    return info(read_config(config, model), f"hub:{model}@{commit}", model)


def local_directory(model: str) -> Path | None:
    """The directory that a recipe's `model` names, if it names one; BackboneError if it can name nothing else."""
    path = places.expanded(model)
    if path.is_dir():
        return path
    if path.exists():
        raise BackboneError(f"{model} is a file; give the directory of a checkpoint")
    if not _HUB_ID.fullmatch(model):
        raise BackboneError(
            f"there is no directory {model!r}: give the directory of a checkpoint, a Hub id such as 'name/model', or "
            f"{embedded.PREFIX}{embedded.NAME}"
        )
    return None


def info(config: Mapping[str, Any], key: str, name: str) -> BackboneInfo:
    """The sizes in a configuration of one of the known architectures."""
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise BackboneError(
            f"{name} is of architecture {architecture!r}; adapterx runs {' and '.join(ARCHITECTURES)} encoders"
        )
    wrong = [size for size in _SIZES if not _is_count(config.get(size))]
    if wrong:
        raise BackboneError(f"{CONFIG} of {name} gives no positive whole number for {', '.join(wrong)}")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise BackboneError(f"{CONFIG} of {name}: hidden_size is not a multiple of num_attention_heads")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise BackboneError(f"{name} has {config['position_embedding_type']!r} positions; adapterx runs absolute ones")
    padding = config.get("pad_token_id", 1)
    if type(padding) is not int:
        raise BackboneError(f"{CONFIG} of {name} gives no whole number for pad_token_id")
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


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _describe_embedded(model: str) -> BackboneInfo:
    name = f"{embedded.PREFIX}{embedded.NAME}"
    match = re.fullmatch(rf"{re.escape(name)}(?:@(\d+))?", model)
    if match is None:
        raise BackboneError(
            f"there is no embedded backbone {model!r}: give {name}, or {name}@6 for its first six layers"
        )
    header = embedded.read_header()
    kept = header.layers if match[1] is None else int(match[1])
    if not 1 <= kept <= header.layers:
        raise BackboneError(f"{model}: {name} has {header.layers} layers, keep 1 to {header.layers} of them")
    config = {**header.config(), "num_hidden_layers": kept}
    return info(config, f"embedded:{embedded.source_key()}@{kept}", model)


def _content_key(directory: Path, model: str) -> str:
    """SHA-256 over configuration, tokenizer and weights."""
    digest = hashlib.sha256()
    for path in [directory / CONFIG, directory / TOKENIZER, *weight_files(directory, model)]:
        digest.update(f"{path.name}:{file_hash(path)}\n".encode())
    return digest.hexdigest()
