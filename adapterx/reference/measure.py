"""What a plan asks of an adapter that a library makes: how many parameters it trains, and whether it can be stacked.

Asked of a model without weights, on torch's meta device, so that the largest backbone takes seconds and no memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
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
from adapterx.wording import plain

_ADDITIVE = {"LORA", "VERA", "LOHA", "LOKR", "FOURIERFT", "RANDLORA", "MISS", "DELORA", "HIRA", "WAVEFT"}
"""Types of `peft` whose updates add when several are active; others multiply, rotate, or rescale one another."""


def measure(method: MethodSpec, info: BackboneInfo) -> LibraryAdapter:
    """What a method comes to on a backbone. Raises LibraryError, a ValueError, for what the library refuses."""
    assert isinstance(method, LibraryMethod)
    if method.library == "peft":
        peft_config(method.config)
        alone = _peft_alone(json.loads(method.config))
    else:
        alone = _adapters_alone(adapters_config(method.config))
    shapes = _shapes(Slot(method, {}), info)
    return LibraryAdapter(sum(math.prod(shape) for shape in shapes.values()), alone)


def check_fit(slots: Sequence[Slot], info: BackboneInfo) -> None:
    """Raise LibraryError unless adapters that a library makes have exactly the tensors that it makes on a backbone."""
    for slot in slots:
        if not slot.method.made_by_library:
            continue
        shapes = _shapes(slot, info)
        for name in sorted(shapes.keys() | slot.tensors.keys()):
            found = tuple(slot.tensors[name].shape) if name in slot.tensors else None
            if found != shapes.get(name):
                what = "is missing" if found is None else f"is {found}"
                wanted = f"has {shapes[name]} there" if name in shapes else "has no place for it"
                raise LibraryError(
                    f"does not fit: {plain(name, 200)} {what}, and `{slot.method.kind}` {wanted}: choose the backbone"
                    " that the adapter was trained on"
                )


def _shapes(slot: Slot, info: BackboneInfo) -> dict[str, tuple[int, ...]]:
    """What the library trains of an adapter, by stored name; asked of a model without weights."""
    method = slot.method
    build = peft_models.build if method.library == "peft" else adapterhub.build
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
                _, (tensors,) = build(encoder, [slot], 0)
        except LibraryError as error:
            raise error.__cause__ if isinstance(error.__cause__, LibraryError) else error from None
    if not tensors:
        raise LibraryError("trains nothing: its target_modules are not in this encoder")
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


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
