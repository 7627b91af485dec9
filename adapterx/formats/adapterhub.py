"""Adapters in the files of AdapterHub's `adapters` 1.3.0, as `save_adapter(…, use_safetensors=True)` writes them.

What a configuration means, each method's own codec says (`formats.codec`); prediction heads are `adapterhub_head`'s.
Names in the files are those of an encoder without a prefix; the library adds or drops the prefix of the model it loads
into.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import (
    CONFIG,
    HUB_HEAD,
    HUB_WEIGHTS,
    read_all,
    read_config,
    read_tensors,
    tensor_shapes,
    weights_in,
    write_config,
    write_tensors,
)
from adapterx.files.errors import FormatError, LibraryAloneError
from adapterx.formats import adapterhub_head, uneven
from adapterx.formats.adapter import PortableAdapter, check_tensors, with_head
from adapterx.formats.adapterhub_earlier import config_today, name_today
from adapterx.formats.codec import adapterhub_codec, adapterhub_codecs
from adapterx.formats.uneven import stored_shapes
from adapterx.methods.library.spec import AdaptersMethod
from adapterx.wording import plain, shown

VERSION = "adapters.1.3.0"
_MODELS = {"xlm-roberta": "XLMRobertaModel"}
_PREFIX = "roberta."
BY_LIBRARY = ("prefix_tuning", "union")
"""Architectures of which the library's own model makes adapters, and this package has no method."""
_CONTAINERS = (
    "adapters",
    "invertible_adapters",
    "loras",
    "prefix_gates",
    "prefix_tunings",
    "shared_parameters",
)
"""Modules of the library in which an adapter lies under its name."""
_IN_TRAINING = {"dtype", "init_weights_seed", "stochastic_depth"}
"""Settings that mean nothing for stored weights, and would have the library import or draw something."""


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


def read(directory: Path, encoder: Encoder, headless: bool = False) -> PortableAdapter:
    """Read an adapter for this encoder, with its head if there is one; arguments and errors as of `directory.read`."""
    path, weights = directory / CONFIG, weights_in(directory, HUB_WEIGHTS)
    whole = read_config(path)
    name = check_model(path, whole, encoder)
    names = _names_today(weights)
    config = config_today(path, whole, names)
    try:
        adapter = _computed(path, config, name, names, weights, encoder)
    except LibraryAloneError:
        adapter = _by_library(config, name, names, weights)
    if not weights_in(directory, HUB_HEAD).exists():
        return adapter
    return with_head(adapter, lambda: adapterhub_head.read(directory, encoder), headless)


def _names_today(weights: Path) -> dict[str, str]:
    """What today's library calls each tensor in an encoder without a prefix → its name in the file."""
    found: dict[str, str] = {}
    for in_file in tensor_shapes(weights):
        today = name_today(in_file).removeprefix(_PREFIX)
        if today in found:
            raise FormatError(f"{weights} holds {plain(today, 200)} twice: save the adapter again")
        found[today] = in_file
    return found


def _computed(
    path: Path, config: Mapping[str, Any], name: str, names: Mapping[str, str], weights: Path, encoder: Encoder
) -> PortableAdapter:
    """The adapter by a method of this package; LibraryAloneError where it has none, and the library has."""
    codecs, kind = adapterhub_codecs(), config.get("architecture")
    if not (kind is None or isinstance(kind, str)) or kind not in codecs:
        known = " and ".join(sorted((plural for plural, _ in codecs.values()), key=str.lower))
        error = LibraryAloneError if kind in BY_LIBRARY else FormatError
        raise error(f"{path}: adapters of kind {shown(kind)} cannot be read; {known} can")
    _, codec = codecs[kind]
    meant = codec.read(path, config, encoder)
    shapes = stored_shapes(meant, encoder)
    in_file = {own: codec.name_in_file(own, name) for own in shapes}
    in_file = {own: names.get(today, today) for own, today in in_file.items()}
    shape = encoder.shape
    what = f"this {type(meant.method).__name__} in an encoder of {shape.layers} layers of {shape.hidden} features"
    tensors = read_tensors(weights, {in_file[own]: shapes[own] for own in shapes}, what)
    return PortableAdapter(meant.method, uneven.whole(meant, {own: tensors[in_file[own]] for own in shapes}, encoder))


def _by_library(config: Mapping[str, Any], name: str, names: Mapping[str, str], weights: Path) -> PortableAdapter:
    """The adapter as the library's own model takes it (`reference.adapterhub`); that model says whether it fits."""
    tensors = read_all(weights)
    held = re.compile(rf"(^|\.)({'|'.join(_CONTAINERS)})\.{re.escape(name)}\.")
    own = {held.sub(r"\1\2.", today): tensors[in_file] for today, in_file in names.items() if in_file in tensors}
    settings = {key: value for key, value in config.items() if key not in _IN_TRAINING}
    return PortableAdapter(AdaptersMethod.model_construct(adapters=json.dumps(settings, sort_keys=True)), own)


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
