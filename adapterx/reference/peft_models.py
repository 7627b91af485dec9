"""Models of `peft` 0.21: LoRA with this package's settings, or any of its methods."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from adapterx.formats.adapter import Encoder
from adapterx.formats.peft_lora import PREFIX, lora_config
from adapterx.methods.config import Library, Lora, Method
from adapterx.methods.method import Slot
from adapterx.methods.parameters import stream
from adapterx.methods.shape import Shape
from adapterx.reference.libraries import NAME, LibraryError, peft, peft_config

_LORA = ("r", "lora_alpha", "lora_dropout", "target_modules", "layers_to_transform", "layers_pattern", "task_type")


def build(encoder: Any, slots: Sequence[Slot], seed: int) -> tuple[nn.Module, list[dict[str, nn.Parameter]]]:
    """The library's model around an encoder, all slots active, and the trainable tensors of each by stored name.

    `encoder` is changed. Stored names are the library's without its prefix and the adapter's name; of LoRA, those of
    `methods.lora`.
    """
    library = peft()
    model: Any = None
    found = []
    for place, slot in enumerate(slots):
        name, config = NAME.format(place), _config(slot.method, encoder)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about targets of other adapters, and settings at their defaults
            torch.manual_seed(stream("initialise", seed, place, "peft"))
            if model is None:
                model = library.get_peft_model(encoder, config, adapter_name=name)
            else:
                model.add_adapter(name, config)
                model.base_model.set_adapter(name)
        found.append(_trainable(model, name))
    if len(slots) > 1:
        model.base_model.set_adapter([NAME.format(place) for place in range(len(slots))])
    return model, [_stored(tensors, slot.method) for tensors, slot in zip(found, slots, strict=True)]


def _config(method: Method, encoder: Any) -> Any:
    if isinstance(method, Library):
        return peft_config(method.config)
    assert isinstance(method, Lora)
    config = encoder.config if not hasattr(encoder, "get_base_model") else encoder.get_base_model().config
    shape = Shape(config.num_hidden_layers, config.hidden_size, config.intermediate_size)
    settings = lora_config(method, Encoder(config.model_type, shape))
    return peft().LoraConfig(**{name: settings[name] for name in _LORA})


def _trainable(model: Any, name: str) -> dict[str, nn.Parameter]:
    """What the library trains of an adapter, without prefix and adapter's name."""
    found = {}
    for key, parameter in model.named_parameters():
        parts = key.removeprefix(PREFIX).split(".")
        if parameter.requires_grad and name in parts:
            found[".".join(part for part in parts if part != name)] = parameter
        elif parameter.requires_grad:
            raise LibraryError(f"would train {'.'.join(parts)} of the backbone, which stays frozen")
    return found


def _stored(tensors: dict[str, nn.Parameter], method: Method) -> dict[str, nn.Parameter]:
    if isinstance(method, Lora):
        return {name.removesuffix(".weight"): tensor for name, tensor in tensors.items()}
    return tensors
