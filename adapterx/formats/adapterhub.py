"""Adapters in the files of AdapterHub's `adapters` 1.3.0, as `save_adapter(…, use_safetensors=True)` writes them.

What a configuration means, each method's own codec says (`formats.codec`); prediction heads are `adapterhub_head`'s.
Names in the files are those of an encoder without a prefix; the library adds or drops the prefix of the model it loads
into.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import (
    CONFIG,
    HUB_HEAD,
    HUB_WEIGHTS,
    read_config,
    read_tensors,
    tensor_shapes,
    write_config,
    write_tensors,
)
from adapterx.files.errors import FormatError
from adapterx.formats import adapterhub_head
from adapterx.formats.adapter import PortableAdapter, check_tensors, expected
from adapterx.formats.codec import adapterhub_codec, adapterhub_codecs
from adapterx.wording import shown

VERSION = "adapters.1.3.0"
_MODELS = {"xlm-roberta": "XLMRobertaModel"}
_PREFIX = "roberta."


def write(directory: Path, adapter: PortableAdapter, encoder: Encoder, name: str) -> None:
    """Write an adapter, and its head if it has one, into an existing directory.

    Args:
        name: what the library will call it; letters, digits, `_` and `-`.

    Raises FormatError for what the library cannot hold.
    """
    if encoder.architecture not in _MODELS:
        raise FormatError(
            f"adapters 1.3.0 knows no {encoder.architecture} models; a LoRA can be exported with --format peft"
        )
    if not re.fullmatch(r"[\w-]+", name):
        raise FormatError(f"{name!r} cannot be an adapter's name: letters, digits, '_' and '-' only")
    codec = adapterhub_codec(adapter.method)
    if codec is None:
        raise FormatError(f"a {type(adapter.method).__name__} is no adapter that adapters 1.3.0 has files for")
    check_tensors(adapter, encoder)
    write_config(directory / CONFIG, {"config": codec.config(adapter.method, encoder), **facts(encoder, name)})
    tensors = {codec.name_in_file(key, name): tensor for key, tensor in adapter.tensors.items()}
    write_tensors(directory / HUB_WEIGHTS, tensors)
    if adapter.head is not None:
        adapterhub_head.write(directory, adapter.head, name, facts(encoder, name))


def facts(encoder: Encoder, name: str) -> dict[str, Any]:
    """What the library notes about the model beside each configuration."""
    return {
        "hidden_size": encoder.shape.hidden,
        "model_class": _MODELS[encoder.architecture],
        "model_name": encoder.model,
        "model_type": encoder.architecture,
        "name": name,
        "version": VERSION,
    }


def read(directory: Path, encoder: Encoder) -> PortableAdapter:
    """Read an adapter for this encoder, with its head if there is one. FormatError for whatever does not fit it."""
    path = directory / CONFIG
    whole = read_config(path)
    name = check_model(path, whole, encoder)
    config = whole.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"{path}: config is {shown(config)}; save the adapter again with adapters 1.0 or later")
    codecs, kind = adapterhub_codecs(), config.get("architecture")
    if not (kind is None or isinstance(kind, str)) or kind not in codecs:
        known = " and ".join(sorted((plural for plural, _ in codecs.values()), key=str.lower))
        raise FormatError(f"{path}: adapters of kind {shown(kind)} cannot be read; {known} can")
    _, codec = codecs[kind]
    method = codec.read(path, config, encoder)
    weights = directory / HUB_WEIGHTS
    prefix = _PREFIX if any(key.startswith(_PREFIX) for key in tensor_shapes(weights)) else ""
    in_file = {f"{prefix}{codec.name_in_file(p.name, name)}": p for p in expected(method, encoder.shape)}
    shape = encoder.shape
    what = f"this {type(method).__name__} in an encoder of {shape.layers} layers of {shape.hidden} features"
    tensors = read_tensors(weights, {key: p.shape for key, p in in_file.items()}, what)
    has_head = (directory / HUB_HEAD).exists()
    head = adapterhub_head.read(directory, encoder) if has_head else None
    return PortableAdapter(method, {in_file[key].name: tensor for key, tensor in tensors.items()}, head)


def check_model(path: Path, whole: Mapping[str, Any], encoder: Encoder) -> str:
    """The name in a configuration, once the model it was saved from is seen to be like this encoder."""
    if whole.get("model_type") != encoder.architecture:
        raise FormatError(
            f"{path}: it was made for the architecture {shown(whole.get('model_type'))}, the backbone is "
            f"{encoder.architecture}: choose the backbone it was trained on"
        )
    if whole.get("hidden_size") != encoder.shape.hidden:
        raise FormatError(
            f"{path}: it was made for {shown(whole.get('hidden_size'))} features, the backbone has "
            f"{encoder.shape.hidden}: choose the backbone it was trained on"
        )
    name = whole.get("name")
    if not isinstance(name, str) or not name:
        raise FormatError(f"{path}: name is {shown(name)}; save the adapter again")
    return name
