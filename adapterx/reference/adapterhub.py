"""Models of AdapterHub's `adapters` 1.3.0: bottlenecks and fusions of this package, or any of its methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from adapterx.backbones.shape import Encoder, Shape
from adapterx.formats import adapterhub_fusion
from adapterx.formats.codec import adapterhub_codec
from adapterx.methods.base import MethodSpec
from adapterx.methods.library.spec import LibraryMethod
from adapterx.methods.method import Slot, parameters
from adapterx.methods.parameters import stream
from adapterx.reference.libraries import NAME, LibraryError, adapters, adapters_config


def build(encoder: Any, slots: Sequence[Slot], seed: int) -> tuple[nn.Module, list[dict[str, nn.Parameter]]]:
    """The library's model, all slots active, and the trainable tensors of each by stored name.

    `encoder` becomes that model. Stored names are the library's without the adapter's name; of bottlenecks and
    fusions, those of `methods`.
    """
    library = adapters()
    shape = Shape(encoder.config.num_hidden_layers, encoder.config.hidden_size, encoder.config.intermediate_size)
    form = Encoder(encoder.config.model_type, shape)
    library.init(encoder)
    *lower, last = slots
    fused = bool(last.method.mixed)
    found = []
    for place, slot in enumerate(lower if fused else slots):
        name = NAME.format(place)
        with torch.random.fork_rng():
            torch.manual_seed(stream("initialise", seed, place, "adapters"))
            encoder.add_adapter(name, config=_config(slot.method, form))
        encoder.train_adapter(name)
        found.append(_stored(encoder, slot.method, name, shape))
    names = [NAME.format(place) for place in range(len(found))]
    if fused:
        encoder.add_adapter_fusion(names, library.AdapterFusionConfig.from_dict(adapterhub_fusion.DYNAMIC))
        encoder.set_active_adapters(library.Fuse(*names))
        own = dict(encoder.named_parameters())
        found.append(
            {
                one.name: own[adapterhub_fusion.name_in_file(one.name, ",".join(names))]
                for one in parameters(last.method, shape)
            }
        )
    else:
        encoder.set_active_adapters(library.Stack(*names) if len(names) > 1 else names[0])
    return encoder, found


def _config(method: MethodSpec, form: Encoder) -> Any:
    if isinstance(method, LibraryMethod):
        return adapters_config(method.config)
    codec = adapterhub_codec(method)
    assert codec is not None, "a plan trains what `adapters` has"
    return adapters().AdapterConfig.load({"architecture": codec.READS, **codec.config(method, form)})


def _stored(encoder: Any, method: MethodSpec, name: str, shape: Shape) -> dict[str, nn.Parameter]:
    """The trainable tensors of an adapter that was just made ready for training."""
    own = {key: one for key, one in encoder.named_parameters() if one.requires_grad}
    if foreign := [key for key in own if name not in key.split(".")]:
        raise LibraryError(f"would train {foreign[0]} of the backbone, which stays frozen")
    if (codec := adapterhub_codec(method)) is not None:
        return {one.name: own[codec.name_in_file(one.name, name)] for one in parameters(method, shape)}
    return {".".join(part for part in key.split(".") if part != name): one for key, one in own.items()}
