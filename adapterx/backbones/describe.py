"""What a backbone is, from its name and its configuration alone: nothing is loaded, torch is not imported."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from adapterx import places
from adapterx.backbones import embedded, hub, pickled, sizes
from adapterx.backbones.checkpoint import (
    CONFIG,
    LARGEST_TOKENIZER,
    TOKENIZER,
    check_names,
    check_regular,
    file_hash,
    is_pickled,
    names_in,
    read_config,
    weight_files,
)
from adapterx.backbones.errors import BackboneError, NotSafetensors
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.wording import shown

ARCHITECTURES = ("xlm-roberta", "xlm-roberta-xl")
"""The architectures adapterx builds itself. A configuration that names any other is refused, whatever it contains."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")


def describe(backbone: Backbone) -> BackboneInfo:
    """Sizes and content key of a backbone.

    Reads the header of the embedded file, a local `config.json`, or the Hub's. Two recipes that mean the same weights
    get the same key, whatever they call them. Sizes of a local checkpoint are compared with the headers of its weights,
    or with what its pickles describe.
    Raises BackboneError, and HubError for what the Hub does not give.
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
        check_names(names_in(local), model)
        return _describe_local(local, model)
    commit, config = hub.resolve(model, backbone.revision)
    return info(read_config(config, model), f"hub:{model}@{commit}", model)


def _describe_local(directory: Path, model: str) -> BackboneInfo:
    for path in (directory / CONFIG, directory / TOKENIZER):
        check_regular(path, model, LARGEST_TOKENIZER)
    config = read_config(directory / CONFIG, model)
    known = info(config, "", model)
    if is_pickled(names_in(directory)):
        pickled.check(directory, config, model)
    else:
        with suppress(NotSafetensors):  # a plan needs the sizes alone; loading asks again, before it allocates anything
            sizes.check_weights(config, weight_files(directory, model), model)
    return replace(known, key=content_key(directory, model))


def local_directory(model: str) -> Path | None:
    """The directory that a recipe's `model` names, if it names one; BackboneError if it can name nothing else."""
    path = places.expanded(model)
    try:
        is_directory, is_there = path.is_dir(), path.exists()
    except OSError:  # a name that no file system holds
        is_directory = is_there = False
    if is_directory:
        return path
    if is_there:
        raise BackboneError(f"{model} is a file; give the directory of a checkpoint")
    if not _HUB_ID.fullmatch(model):
        raise BackboneError(
            f"there is no directory {shown(model)}: give the directory of a checkpoint, a Hub id such as 'name/model', "
            f"or {embedded.PREFIX}{embedded.NAME}"
        )
    return None


def info(config: Mapping[str, Any], key: str, name: str) -> BackboneInfo:
    """The sizes in a configuration of one of the known architectures."""
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise BackboneError(
            f"{name} is of architecture {shown(architecture)}; adapterx runs {' and '.join(ARCHITECTURES)} encoders "
            f"(model_type in {CONFIG})"
        )
    sizes.check(config, name)
    padding = config.get("pad_token_id", 1)
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
    name = f"{embedded.PREFIX}{embedded.NAME}"
    match = re.fullmatch(rf"{re.escape(name)}(?:@(\d+))?", model)
    if match is None:
        raise BackboneError(
            f"there is no embedded backbone {shown(model)}: give {name}, or {name}@6 for its first six layers"
        )
    header = embedded.read_header()
    kept = header.layers if match[1] is None else int(match[1])
    if not 1 <= kept <= header.layers:
        raise BackboneError(f"{model}: {name} has {header.layers} layers, keep 1 to {header.layers} of them")
    config = {**header.config(), "num_hidden_layers": kept}
    return info(config, f"embedded:{embedded.source_key()}@{kept}", model)


def content_key(directory: Path, model: str) -> str:
    """The key of a local checkpoint: SHA-256 over configuration, tokenizer and weights."""
    digest = hashlib.sha256()
    for path in [directory / CONFIG, directory / TOKENIZER, *weight_files(directory, model)]:
        digest.update(f"{path.name}:{file_hash(path)}\n".encode())
    return f"local:{digest.hexdigest()}"
