"""What a plan asks of an adapter that a library makes: how many parameters it trains, and whether it can be stacked.

Asked of a model without weights, on torch's meta device, so that the largest backbone takes seconds and no memory.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from adapterx.backbones.assemble import CLASSES
from adapterx.backbones.info import BackboneInfo
from adapterx.methods.base import MethodSpec
from adapterx.methods.library.spec import LibraryMethod
from adapterx.methods.method import Slot
from adapterx.plan import LibraryAdapter
from adapterx.reference import adapterhub, peft_models
from adapterx.reference.libraries import LibraryError, adapters_config, peft_config, refusals

_ADDITIVE = {"LORA", "VERA", "LOHA", "LOKR", "FOURIERFT", "RANDLORA", "MISS", "DELORA", "HIRA", "WAVEFT"}
"""Types of `peft` whose updates add when several are active; others multiply, rotate, or rescale one another."""


def measure(method: MethodSpec, info: BackboneInfo) -> LibraryAdapter:
    """What a method comes to on a backbone. Raises LibraryError, a ValueError, for what the library refuses."""
    assert isinstance(method, LibraryMethod)
    if method.library == "peft":
        peft_config(method.config)
        alone, build = _peft_alone(json.loads(method.config)), peft_models.build
    else:
        alone, build = _adapters_alone(adapters_config(method.config)), adapterhub.build
    config_class, model_class = CLASSES[info.architecture]
    config = config_class(
        vocab_size=info.vocabulary,
        hidden_size=info.hidden,
        num_hidden_layers=info.layers,
        num_attention_heads=info.heads,
        intermediate_size=info.intermediate,
        max_position_embeddings=info.max_positions + 2,
        type_vocab_size=1,
        pad_token_id=1,
    )
    with torch.device("meta"):
        encoder = model_class(config, add_pooling_layer=False).requires_grad_(False)
        try:
            with refusals(method.kind):
                _, (tensors,) = build(encoder, [Slot(method, {})], 0)
        except LibraryError as error:
            raise error.__cause__ if isinstance(error.__cause__, LibraryError) else error from None
    if not tensors:
        raise LibraryError("trains nothing: its target_modules are not in this encoder")
    return LibraryAdapter(sum(tensor.numel() for tensor in tensors.values()), alone)


def _peft_alone(settings: dict[str, Any]) -> str:
    kind = settings["peft_type"]
    if settings.get("use_dora"):
        return "each DoRA rescales the weight that it finds, so that two do not add up"
    if settings.get("modules_to_save"):
        return "of modules_to_save only one copy can act"
    return "" if kind in _ADDITIVE else f"adapters of type {kind} do not add up in `peft` when several are active"


def _adapters_alone(config: Any) -> str:
    """By what `adapters` 1.3.0 computes for a Stack, which is not always what it says."""
    parts = config.configs if config.architecture == "union" else [config]
    for part in parts:
        if part.architecture == "prefix_tuning":
            continue
        if part.architecture is not None:
            return f"of stacked adapters of kind {part.architecture} `adapters` feeds one to the other, or drops one"
        if part.is_parallel:
            return "of stacked parallel bottlenecks `adapters` lets the last one act alone"
    return ""
