"""Load a pretrained encoder and its tokenizer: safetensors only, known architectures only, no code from outside."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaXLConfig,
    XLMRobertaXLModel,
)

from adapterx.backbones import embedded
from adapterx.backbones.describe import (
    FILES,
    BackboneError,
    cache_directory,
    describe,
    embedded_layers,
    info,
    local_directory,
)
from adapterx.plan.stage import BackboneInfo
from adapterx.recipe import Backbone

_CLASSES: dict[str, tuple[type[Any], type[Any]]] = {
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
    "xlm-roberta-xl": (XLMRobertaXLConfig, XLMRobertaXLModel),
}


@dataclass(frozen=True)
class LoadedBackbone:
    """A frozen encoder in evaluation mode, without pooler, and its fast tokenizer."""

    info: BackboneInfo
    model: nn.Module
    tokenizer: PreTrainedTokenizerFast
    tokenizer_key: str
    """Names the tokenizer's content: equal keys, equal tokens."""
    parameters: int
    """Of the encoder, embeddings included."""
    embedding_parameters: int
    """Of the embeddings, the part that does not grow with depth."""


def load(backbone: Backbone, device: torch.device | str = "cpu") -> LoadedBackbone:
    """Load a backbone named as in a recipe. Raises BackboneError when it is not usable, saying what to do."""
    described = describe(backbone)
    directory = checkpoint_directory(backbone, described)
    config_class, model_class = _CLASSES[described.architecture]
    settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    info(settings, described.key, backbone.model)
    config = config_class.from_dict({**settings, "num_hidden_layers": described.layers})
    with _quiet():
        model, loading = model_class.from_pretrained(
            directory,
            config=config,
            add_pooling_layer=False,
            use_safetensors=True,
            dtype=getattr(torch, backbone.load),
            local_files_only=True,
            output_loading_info=True,
        )
    if loading["missing_keys"]:
        names = sorted(loading["missing_keys"])
        raise BackboneError(f"{backbone.model} lacks {len(names)} of the encoder's tensors, {names[0]} for one")
    model = model.eval().requires_grad_(False).to(device)
    tokenizer = _tokenizer(directory, backbone.model)
    return LoadedBackbone(
        info=described,
        model=model,
        tokenizer=tokenizer,
        tokenizer_key=hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embedding_parameters=sum(parameter.numel() for parameter in model.embeddings.parameters()),
    )


def checkpoint_directory(backbone: Backbone, described: BackboneInfo) -> Path:
    """A local directory with the backbone's files; converts the embedded one and downloads from the Hub as needed."""
    if backbone.model.startswith(embedded.PREFIX):
        embedded_layers(backbone.model)
        return embedded.checkpoint(cache_directory() / "backbones")
    local = local_directory(backbone.model)
    if local is not None:
        return local
    from huggingface_hub import snapshot_download

    commit = described.key.rsplit("@", 1)[1]
    try:
        directory = Path(snapshot_download(backbone.model, revision=commit, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{backbone.model} at {commit} could not be downloaded: {error}") from error
    if not list(directory.glob("*.safetensors")):
        raise BackboneError(
            f"{backbone.model} at {commit} has no .safetensors weights, and pickled ones are never loaded; "
            "pin a `revision:` that has them (the Hub's conversion service opens one as a pull request)"
        )
    return directory


def _tokenizer(directory: Path, name: str) -> PreTrainedTokenizerFast:
    if not (directory / "tokenizer.json").is_file():
        raise BackboneError(f"{name} has no tokenizer.json; save its fast tokenizer beside the weights")
    with _quiet():
        load_tokenizer: Any = AutoTokenizer.from_pretrained
        tokenizer = load_tokenizer(directory, local_files_only=True, use_fast=True)
    if not tokenizer.is_fast:
        raise BackboneError(f"{name} has no fast tokenizer, which adapterx needs for offsets and speed")
    return tokenizer  # type: ignore[no-any-return]


@contextmanager
def _quiet() -> Iterator[None]:
    """Dropping the layers above the cut and the pretraining heads is meant; it needs no warning."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
