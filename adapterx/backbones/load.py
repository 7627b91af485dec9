"""Load a pretrained encoder and its tokenizer: from safetensors, known architectures only, no code from outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from adapterx import places
from adapterx.allocator import hand_back
from adapterx.backbones import embedded, hub, pickled, sizes, tokens
from adapterx.backbones.assemble import CLASSES, assemble
from adapterx.backbones.checkpoint import CONFIG, MASKED_LM, TOKENIZER, is_pickled, names_in, read_config, weight_files
from adapterx.backbones.compute import check_device
from adapterx.backbones.describe import content_key, describe, info, local_directory
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions import precision
from adapterx.backbones.spec import Backbone

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
    backbone: Backbone,
    described: BackboneInfo | None = None,
    device: torch.device | str = "cpu",
    token_ids: NDArray[np.int64] | None = None,
) -> LoadedBackbone:
    """Load a backbone named as in a recipe. Raises BackboneError when it is not usable, saying what to do.

    Args:
        described: what `describe` said of it earlier, so that a branch which has moved since loads the same commit.
        token_ids: ids, rising, of the tokens whose embeddings are to be there; of all tokens where None, whatever
            the recipe says of the vocabulary.
    """
    described = described or describe(backbone)
    number = precision(backbone.load)
    check_device(number, torch.device(device), backbone.model)
    directory = _directory(backbone, described)
    config = _configuration(directory, described, backbone.model)
    files = weight_files(directory, backbone.model)
    # Before anything of the configuration's sizes is allocated.
    sizes.check_weights(config.to_dict(), files, backbone.model, cut=backbone.model.startswith(embedded.PREFIX))
    # The tokenizer first: building one takes more than twice the memory of having it, which the weights can use then.
    tokenizer = tokens.load(directory / TOKENIZER, described.vocabulary, backbone.model)
    hand_back()
    model = assemble(files, config, number, device, backbone.model, token_ids)
    return LoadedBackbone(
        info=described,
        model=model,
        tokenizer=tokenizer,
        tokenizer_key=tokens.key(tokenizer),
        masked_lm=_masked_lm(files, described),
    )


def load_tokenizer(backbone: Backbone, described: BackboneInfo | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of a backbone alone; of one on the Hub no weights are fetched. Raises BackboneError.

    Args:
        described: as of `load`.
    """
    described = described or describe(backbone)
    if backbone.model.startswith(embedded.PREFIX):
        path = _directory(backbone, described, [TOKENIZER]) / TOKENIZER
    elif local := local_directory(backbone.model) or pickled.kept(described.key):
        path = local / TOKENIZER
    else:
        path = hub.tokenizer(backbone.model, _commit(described))
    return tokens.load(path, described.vocabulary, backbone.model)


def local_checkpoint(backbone: Backbone) -> Path:
    """A local directory with a backbone's files, as other libraries load it; all layers of the embedded one.

    Raises BackboneError, and HubError for what the Hub does not give.
    """
    return _directory(backbone, describe(backbone))


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


def _masked_lm(paths: list[Path], described: BackboneInfo) -> Mapping[str, Tensor]:
    """The masked-LM head of a checkpoint that has a whole one of this encoder's size, in float32."""
    wide, tokens = described.hidden, described.vocabulary
    shapes = {"dense.weight": (wide, wide), "output.bias": (tokens,)}
    tensors: dict[str, Tensor] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for key in set(file.keys()) & MASKED_LM.keys():
                tensors[MASKED_LM[key]] = file.get_tensor(key).float()
    whole = all(name in tensors and tensors[name].shape == shapes.get(name, (wide,)) for name in MASKED_LM.values())
    return tensors if whole else {}
