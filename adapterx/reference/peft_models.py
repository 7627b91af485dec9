"""Models of `peft` 0.21: methods of this package that it has too, or any of its own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from adapterx.backbones.shape import Encoder, Shape
from adapterx.formats.codec import peft_codec
from adapterx.formats.peft import PREFIX
from adapterx.methods.base import MethodSpec
from adapterx.methods.library.spec import LibraryMethod
from adapterx.methods.method import Slot, parameters
from adapterx.methods.parameters import stream
from adapterx.reference.libraries import NAME, LibraryError, peft, peft_config


def build(encoder: Any, slots: Sequence[Slot], seed: int) -> tuple[nn.Module, list[dict[str, nn.Parameter]]]:
    """The library's model around an encoder, all slots active, and the trainable tensors of each by stored name.

    `encoder` is changed. Stored names are the library's without its prefix and the adapter's name; of methods of this
    package, those of `methods`.
    """
    library = peft()
    shape = Shape(encoder.config.num_hidden_layers, encoder.config.hidden_size, encoder.config.intermediate_size)
    form = Encoder(encoder.config.model_type, shape)
    model: Any = None
    found = []
    for place, slot in enumerate(slots):
        name, config = NAME.format(place), _config(slot.method, form)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about targets of other adapters, and settings at their defaults
            torch.manual_seed(stream("initialise", seed, place, "peft"))
            if model is None:
                model = library.get_peft_model(encoder, config, adapter_name=name)
            else:
                model.add_adapter(name, config)
                model.base_model.set_adapter(name)
        found.append(_trainable(model, slot, name))
    if len(slots) > 1:
        model.base_model.set_adapter([NAME.format(place) for place in range(len(slots))])
    return model, [_stored(tensors, slot.method, shape) for tensors, slot in zip(found, slots, strict=True)]


def _config(method: MethodSpec, form: Encoder) -> Any:
    if isinstance(method, LibraryMethod):
        return peft_config(method.config)
    codec = peft_codec(method)
    assert codec is not None, "a plan trains what `peft` has"
    settings = codec.config(method, form)
    return peft_config(json.dumps({name: settings[name] for name in codec.SETTINGS}))


def _trainable(model: Any, slot: Slot, name: str) -> dict[str, nn.Parameter]:
    """What the library trains of an adapter, without prefix and adapter's name.

    Biases of the backbone are the adapter's where it comes with some; no training here makes one that does.
    """
    found = {}
    for key, parameter in model.named_parameters():
        parts = key.removeprefix(PREFIX).split(".")
        own = ".".join(part for part in parts if part != name)
        if parameter.requires_grad and (name in parts or own in slot.tensors):
            found[own] = parameter
        elif parameter.requires_grad:
            raise LibraryError(f"would train {'.'.join(parts)} of the backbone, which stays frozen")
    return found


def _stored(tensors: dict[str, nn.Parameter], method: MethodSpec, shape: Shape) -> dict[str, nn.Parameter]:
    """The same by the names that are stored: the library's own where it makes the adapter."""
    codec = peft_codec(method)
    if codec is None:
        return tensors
    own = {codec.name_in_file(one.name): one.name for one in parameters(method, shape)}
    return {own[name]: tensor for name, tensor in tensors.items()}
