"""AdapterFusion layers (Pfeiffer et al. 2021, 2005.00247) in AdapterHub's files.

`adapter_fusion_config.json` and `model_adapter_fusion.safetensors`, as `save_adapter_fusion(…, use_safetensors=True)`
writes them: query (d, d) with bias, key (d, d) with bias and value (d, d) at each place of each layer. In a composed
setup they lie in a directory named after the fused adapters, joined by commas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from adapterx.backbones.modules import Place
from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import (
    FUSION_CONFIG,
    FUSION_WEIGHTS,
    read_config,
    read_tensors,
    tensor_shapes,
    weights_in,
    write_config,
    write_tensors,
)
from adapterx.files.errors import FormatError
from adapterx.files.settings import listed, texts
from adapterx.formats.adapterhub import check_model, facts
from adapterx.wording import plain, shown

_PREFIX = "roberta."
"""Of names in a file saved from a model with heads. A fusion without it would be left out, silently, when it is loaded
into such a model: `AdapterFusionLoader.load` adds no prefix. With it both kinds of model load the fusion."""
DYNAMIC = {
    "dropout_prob": None,
    "key": True,
    "query": True,
    "query_before_ln": False,
    "regularization": True,
    "residual_before": False,
    "temperature": False,
    "value": True,
    "value_before_softmax": True,
    "value_initialized": True,
}
"""The library's `dynamic` fusion."""
_TRAINING = {"dropout_prob", "regularization", "value_initialized"}
"""Means nothing for stored weights."""
_PLACES: dict[Place, str] = {"attention": "attention.output", "output": "output"}


@dataclass(frozen=True)
class FusionLayers:
    """What combines several adapters."""

    adapters: tuple[str, ...]
    """Names of the fused adapters, in order."""
    tensors: Mapping[str, Tensor]
    """`encoder.layer.N.PLACE.fusion.{query,key,value}.weight` and `.{query,key}.bias`, PLACE `output` or
    `attention.output`."""


def fusion_shapes(encoder: Encoder, places: Sequence[Place]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor of a fusion at these places of every layer."""
    hidden = encoder.shape.hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(encoder.shape.layers):
        for place in places:
            for part in ("query", "key", "value"):
                name = f"encoder.layer.{layer}.{_PLACES[place]}.fusion.{part}"
                shapes[f"{name}.weight"] = (hidden, hidden)
                if part != "value":
                    shapes[f"{name}.bias"] = (hidden,)
    return shapes


def write(directory: Path, fusion: FusionLayers, encoder: Encoder, places: Sequence[Place]) -> None:
    """Write a fusion into an existing directory.

    Args:
        places: the residual connections that carry the fused adapters.

    Raises FormatError for tensors that are not those of the library's: all of them, in every layer.
    """
    shapes = fusion_shapes(encoder, places)
    found = {name: tuple(tensor.shape) for name, tensor in fusion.tensors.items()}
    if wrong := sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name)):
        raise FormatError(
            f"AdapterHub's fusion has full query, key and value in every layer: {wrong[0]} is {found.get(wrong[0])}, "
            f"and should be {shapes.get(wrong[0])}"
        )
    name = ",".join(fusion.adapters)
    config = {"adapter_names": list(fusion.adapters), "config": DYNAMIC, **facts(encoder, name)}
    write_config(directory / FUSION_CONFIG, config)
    write_tensors(
        directory / FUSION_WEIGHTS,
        {f"{_PREFIX}{name_in_file(key, name)}": tensor for key, tensor in fusion.tensors.items()},
    )


def name_in_file(key: str, name: str) -> str:
    """Of a tensor the library's name; `name` is that of the fusion."""
    return key.replace(".fusion.", f".adapter_fusion_layer.{name}.")


def read(
    directory: Path, encoder: Encoder, places: Sequence[Place], members: Sequence[str] | None = None
) -> FusionLayers:
    """Read a fusion over adapters at these places; FormatError for whatever does not fit completely.

    Args:
        members: names of the adapters that a setup fuses, in order; the fusion must be of these.
    """
    path = directory / FUSION_CONFIG
    whole = read_config(path)
    name = check_model(path, whole, encoder)
    config = whole.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"{path}: config is {shown(config)}; save the fusion again with adapters 1.0 or later")
    for key, value in config.items():
        wanted = (DYNAMIC[key],) if key in DYNAMIC else (None, False)
        if key not in _TRAINING and value not in wanted:
            raise FormatError(
                f"{path}: {plain(key)}: {shown(value)} is not supported; adapterx reads the library's dynamic fusion"
            )
    # A member's name may hold commas itself, so that the joined name alone does not tell where one ends.
    adapters = texts(whole.get("adapter_names", name.split(",") if members is None else list(members)))
    if adapters is None or ",".join(adapters) != name:
        raise FormatError(
            f"{path}: adapter_names {shown(whole.get('adapter_names'))} are not those of the fusion {shown(name)}"
        )
    if members is not None and tuple(adapters) != tuple(members):
        raise FormatError(
            f"{path} fuses {listed(adapters)}, but the setup names {listed(members)}: their order is part of the fusion"
        )
    weights = weights_in(directory, FUSION_WEIGHTS)
    prefix = _PREFIX if any(key.startswith(_PREFIX) for key in tensor_shapes(weights)) else ""
    shapes = fusion_shapes(encoder, places)
    names = {f"{prefix}{name_in_file(key, name)}": key for key in shapes}
    found = read_tensors(weights, {key: shapes[own] for key, own in names.items()}, "this fusion")
    return FusionLayers(tuple(adapters), {names[key]: tensor for key, tensor in found.items()})
