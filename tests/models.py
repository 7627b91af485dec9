"""Small randomly initialised encoders of both architectures, for tests that need no pretrained weights.

A processor with other instructions adds the same products in another order, so the last bits of every hidden state are
its own. A test that rests on them passes on one machine and fails on the next. ADAPTERX_TEST_JITTER=<seed> shows such a
test here: it multiplies every weight by 1 + 1e-6 · N(0, 1), other noise for each seed, the same within a run.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from transformers import (
    PretrainedConfig,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaXLConfig,
    XLMRobertaXLModel,
)

_CONFIGS: dict[str, Callable[..., PretrainedConfig]] = {
    "xlm-roberta": XLMRobertaConfig,
    "xlm-roberta-xl": XLMRobertaXLConfig,
}
_MODELS: dict[str, Callable[..., PreTrainedModel]] = {
    "xlm-roberta": XLMRobertaModel,
    "xlm-roberta-xl": XLMRobertaXLModel,
}
_SIZES = {"vocab_size": 120, "max_position_embeddings": 514, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

Module = TypeVar("Module", bound=nn.Module)


def config(architecture: str, hidden: int = 32, layers: int = 3, heads: int = 4) -> PretrainedConfig:
    """A small configuration of either architecture."""
    return _CONFIGS[architecture](
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        **_SIZES,
    )


def encoder(architecture: str, seed: int = 0, **sizes: int) -> PreTrainedModel:
    """An encoder whose norms and biases are random too, so that a swapped or forgotten one shows."""
    torch.manual_seed(seed)
    model = _MODELS[architecture](config(architecture, **sizes), add_pooling_layer=False)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.dim() == 1:
                tensor.add_(torch.randn_like(tensor) * 0.1)
            elif "embeddings" not in name:
                tensor.normal_(0.0, 0.08)
    jitter(model, seed)
    return without_dropout(model)


def without_dropout(model: Module) -> Module:
    """Put a model into evaluation mode and return it; the `eval` of transformers' models carries no types."""
    return model.eval()


def jitter(model: PreTrainedModel, seed: int) -> None:
    """Move the weights by about their last bits, where ADAPTERX_TEST_JITTER asks for it.

    The noise follows from the variable's value, the model's seed and each tensor's name: equal models stay equal.
    """
    asked = os.environ.get("ADAPTERX_TEST_JITTER")
    if not asked:
        return
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(f"{asked} {seed} {name}".encode()))
            tensor.mul_(1 + 1e-6 * torch.randn(tensor.shape, generator=generator))
