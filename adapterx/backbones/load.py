"""Load a pretrained encoder and its tokenizer: from safetensors, known architectures only, no code from outside."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import (
    PretrainedConfig,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaXLConfig,
    XLMRobertaXLModel,
)
from transformers.utils import logging

from adapterx import places
from adapterx.backbones import embedded, hub, pickled, sizes, tokens
from adapterx.backbones.checkpoint import CONFIG, TOKENIZER, is_pickled, names_in, read_config, weight_files
from adapterx.backbones.describe import content_key, describe, info, local_directory
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.faults import is_out_of_memory
from adapterx.wording import plain

CLASSES: dict[str, tuple[type[Any], type[Any]]] = {
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
    "xlm-roberta-xl": (XLMRobertaXLConfig, XLMRobertaXLModel),
}
"""Configuration and encoder of each known architecture."""
_SETTINGS = (
    "vocab_size",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
)
"""What is taken from a `config.json`. The library acts on other keys: some make it fetch and run code."""

_MASKED_LM = {
    "lm_head.dense.weight": "dense.weight",
    "lm_head.dense.bias": "dense.bias",
    "lm_head.layer_norm.weight": "norm.weight",
    "lm_head.layer_norm.bias": "norm.bias",
    "lm_head.bias": "output.bias",
}


@dataclass(frozen=True)
class LoadedBackbone:
    """A frozen encoder in evaluation mode, without pooler, and its fast tokenizer."""

    info: BackboneInfo
    model: nn.Module
    tokenizer: PreTrainedTokenizerFast
    tokenizer_key: str
    """Names the tokenizer's content: equal keys, equal tokens."""
    masked_lm: Mapping[str, Tensor]
    """The checkpoint's own masked-LM head, named as `methods.masked_lm` names it; empty where it has none."""


def load(
    backbone: Backbone, described: BackboneInfo | None = None, device: torch.device | str = "cpu"
) -> LoadedBackbone:
    """Load a backbone named as in a recipe. Raises BackboneError when it is not usable, saying what to do.

    Args:
        described: what `describe` said of it earlier, so that a branch which has moved since loads the same commit.
    """
    described = described or describe(backbone)
    directory = _directory(backbone, described)
    config = _configuration(directory, described, backbone.model)
    model = _encoder(directory, config, getattr(torch, backbone.load), backbone.model).to(device)
    tokenizer = tokens.load(directory / TOKENIZER, described.vocabulary, backbone.model)
    return LoadedBackbone(
        info=described,
        model=model,
        tokenizer=tokenizer,
        tokenizer_key=hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        masked_lm=_masked_lm(weight_files(directory, backbone.model), described),
    )


def load_tokenizer(backbone: Backbone) -> PreTrainedTokenizerFast:
    """The tokenizer of a backbone alone; of one on the Hub no weights are fetched. Raises BackboneError."""
    described = describe(backbone)
    if backbone.model.startswith(embedded.PREFIX):
        path = _directory(backbone, described, [TOKENIZER]) / TOKENIZER
    elif local := local_directory(backbone.model):
        path = local / TOKENIZER
    else:
        path = hub.tokenizer(backbone.model, _commit(described))
    return tokens.load(path, described.vocabulary, backbone.model)


def _directory(backbone: Backbone, described: BackboneInfo, wanted: Collection[str] = embedded.FILES) -> Path:
    """A local directory with the backbone's files, the weights as safetensors.

    Converts the embedded backbone and pickles, and downloads from the Hub as needed.

    Args:
        wanted: which files of the embedded one are going to be read.
    """
    if backbone.model.startswith(embedded.PREFIX):
        return embedded.checkpoint(places.cache() / "backbones", wanted)
    local = local_directory(backbone.model)
    if local is None and (kept := pickled.kept(described.key)):
        return kept
    directory = local or hub.download(backbone.model, _commit(described))
    if not is_pickled(names_in(directory)):
        return directory
    config = read_config(directory / CONFIG, backbone.model)
    info(config, described.key, backbone.model)
    # The files may have changed since they were described, and the conversion is to be found by what they are now.
    key = content_key(directory, backbone.model) if local else described.key
    return pickled.checkpoint(directory, config, key, backbone.model)


def _commit(described: BackboneInfo) -> str:
    """The commit of a backbone on the Hub."""
    return described.key.rsplit("@", 1)[1]


def _configuration(directory: Path, described: BackboneInfo, name: str) -> PretrainedConfig:
    """The model's configuration, at the depth described."""
    found = read_config(directory / CONFIG, name)
    info(found, described.key, name)
    config_class, _ = CLASSES[described.architecture]
    settings = {key: found[key] for key in _SETTINGS if key in found}
    config: PretrainedConfig = config_class(**settings, num_hidden_layers=described.layers)
    return config


def _encoder(directory: Path, config: PretrainedConfig, dtype: torch.dtype, name: str) -> Any:
    """The frozen encoder. The library is handed tensors, never the directory, in which it would follow other files."""
    _, model_class = CLASSES[config.model_type]
    files = weight_files(directory, name)
    # Before anything of the configuration's sizes is allocated.
    sizes.check_weights(config.to_dict(), files, name, cut=name.startswith(embedded.PREFIX))
    try:
        weights = _weights(files, config.num_hidden_layers)
        with _quiet():
            model, loading = model_class.from_pretrained(
                None,
                config=config,
                state_dict=weights,
                add_pooling_layer=False,
                dtype=dtype,
                output_loading_info=True,
            )
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        if isinstance(error, SafetensorError | OSError):
            raise BackboneError(f"the weights of {name} cannot be read: {error}") from error
        raise BackboneError(f"the weights of {name} do not fit its {CONFIG}: {plain(str(error), 300)}") from error
    if loading["missing_keys"]:
        names = sorted(loading["missing_keys"])
        raise BackboneError(f"{name} lacks {len(names)} of the encoder's tensors, {names[0]} for one")
    for key, parameter in model.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise BackboneError(f"the weights of {name} hold numbers that are not finite: {key} for one")
    return model.eval().requires_grad_(False)


def _weights(paths: list[Path], layers: int) -> Mapping[str, Tensor]:
    """The tensors of the embeddings and the first layers, under the names of the bare encoder; heads stay unread."""
    wanted = re.compile(r"(?:roberta\.)?(embeddings\..+|encoder\.layer\.(\d+)\..+|encoder\.LayerNorm\..+)")
    tensors: dict[str, Tensor] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  the file is no mapping
                match = wanted.fullmatch(key)
                if match and int(match[2] or 0) < layers:
                    tensors[match[1]] = file.get_tensor(key)
    return tensors


def _masked_lm(paths: list[Path], described: BackboneInfo) -> Mapping[str, Tensor]:
    """The masked-LM head of a checkpoint that has a whole one of this encoder's size, in float32."""
    wide, tokens = described.hidden, described.vocabulary
    shapes = {"dense.weight": (wide, wide), "output.bias": (tokens,)}
    tensors: dict[str, Tensor] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for key in set(file.keys()) & _MASKED_LM.keys():
                tensors[_MASKED_LM[key]] = file.get_tensor(key).float()
    whole = all(name in tensors and tensors[name].shape == shapes.get(name, (wide,)) for name in _MASKED_LM.values())
    return tensors if whole else {}


@contextmanager
def _quiet() -> Iterator[None]:
    """No report and no bar of the library's own: what does not fit is raised here, in words."""
    reports: Any = logging  # its functions are not typed
    verbosity, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity_error()
    reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(verbosity)
        if bars:
            with warnings.catch_warnings():
                # The Hub's client warns that HF_HUB_DISABLE_PROGRESS_BARS keeps its bars off, which is as it should be.
                warnings.simplefilter("ignore")
                reports.enable_progress_bar()
