"""Adapters in the files of `peft` 0.21.2: `adapter_config.json` and `adapter_model.safetensors`.

An adapter with a classifier sits on the library's model for it, whose head is saved along (SEQ_CLS and TOKEN_CLS with
`modules_to_save`), any other on the bare encoder (FEATURE_EXTRACTION). What a configuration means, each method's own
codec says (`formats.codec`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import (
    CONFIG,
    PEFT_WEIGHTS,
    read_all,
    read_config,
    read_tensors,
    tensor_shapes,
    weights_in,
    write_config,
    write_tensors,
)
from adapterx.files.errors import FormatError, LibraryAloneError
from adapterx.formats.adapter import (
    PortableAdapter,
    PortableHead,
    check_tensors,
    head_shapes,
    unnamed,
)
from adapterx.formats.codec import peft_codec, peft_codecs
from adapterx.formats.uneven import stored_shapes, whole
from adapterx.methods.library.spec import PeftMethod, PeftSettings
from adapterx.methods.meant import Meant
from adapterx.tasks.kinds import portable
from adapterx.tasks.kinds.base import TaskKind
from adapterx.wording import shown

PREFIX = "base_model.model."
_HEADED = "base_model.model.roberta."
"""Where the adapter was made on a model with a head of the library's own."""
_HEAD = "base_model.model.classifier."
_SAVED = ("classifier", "score")
"""What the library says it saves along for SEQ_CLS and TOKEN_CLS."""


def write(directory: Path, adapter: PortableAdapter, encoder: Encoder, *, with_head: bool = True) -> bool:
    """Write an adapter into an existing directory; whether its head is in its file.

    Args:
        with_head: whether a head for which `transformers` has a model is written along.

    Raises FormatError for a method that the library has not got.
    """
    codec = peft_codec(adapter.method)
    if codec is None:
        exported = "adapterhub" in adapter.method.codecs
        elsewhere = ": export this one with --format adapterhub" if exported else ", nor has AdapterHub"
        raise FormatError(f"peft has no {type(adapter.method).__name__.lower()} adapters{elsewhere}")
    check_tensors(adapter, encoder)
    config = codec.config(adapter.method, encoder)
    head = adapter.head if with_head and adapter.head is not None and adapter.head.kind.classifier else None
    if head is not None:
        config |= {"task_type": head.kind.peft_type, "modules_to_save": list(_SAVED)}
    prefix = PREFIX if head is None else _HEADED
    tensors = {f"{prefix}{codec.name_in_file(name)}": tensor for name, tensor in adapter.tensors.items()}
    write_config(directory / CONFIG, config)
    write_tensors(directory / PEFT_WEIGHTS, tensors | ({} if head is None else _in_file(head)))
    return head is not None


def _in_file(head: PortableHead) -> dict[str, Tensor]:
    """The tensors of a head under the library's names."""
    places = {key: key.partition(".") for key in head.tensors}
    return {
        f"{_HEAD}{head.kind.classifier[layer]}{what}": head.tensors[key] for key, (layer, _, what) in places.items()
    }


def read(directory: Path, encoder: Encoder, headless: bool = False) -> PortableAdapter:
    """Read an adapter for this encoder; arguments and errors as of `directory.read`."""
    path, weights = directory / CONFIG, weights_in(directory, PEFT_WEIGHTS)
    config = read_config(path)
    codecs, kind = peft_codecs(), config.get("peft_type")
    if not isinstance(kind, str) or kind not in codecs:
        raise FormatError(f"{path}: peft_type {shown(kind)} cannot be read; adapterx reads {', '.join(codecs)}")
    codec = codecs[kind]
    found = tensor_shapes(weights)
    prefix = _HEADED if any(name.startswith(_HEADED) for name in found) else PREFIX
    stem = prefix.removeprefix(PREFIX)
    meant: Meant | None = None
    try:
        codec.check(path, config)
        meant = codec.read(path, config, encoder, stem)
    except LibraryAloneError:
        settings = codec.library_settings(path, config, encoder, stem)
    head, why = None, ""
    if _has_head(config, found):
        try:
            head = _head(weights, found, encoder)
        except FormatError as error:
            if not headless:
                raise
            why = str(error)
    if meant is None:
        return replace(_by_library(settings, weights, prefix, head), headless=why)
    held = stored_shapes(meant, encoder)
    in_file = {own: f"{prefix}{codec.name_in_file(own)}" for own in held}
    shapes = {in_file[own]: shape for own, shape in held.items()}
    shape = encoder.shape
    what = f"this {meant.method.plural} in an encoder of {shape.layers} layers of {shape.hidden} features"
    ignored = {name for name in found if why and name.startswith(_HEAD)}
    tensors = read_tensors(weights, {**shapes, **(head.shapes if head else {})}, what, ignored)
    own = whole(meant, {own: tensors[name] for own, name in in_file.items()}, encoder)
    return PortableAdapter(meant.method, own, head.portable(tensors) if head else None, why)


def _by_library(settings: dict[str, Any], weights: Path, prefix: str, head: _TrainedHead | None) -> PortableAdapter:
    """The adapter as the library's own model takes it (`reference.peft_models`); that model says whether it fits."""
    tensors = read_all(weights)
    adapted = frozenset(settings["target_modules"])
    bare = {name.removeprefix(prefix): one for name, one in tensors.items() if not name.startswith(_HEAD)}
    own = {_stored(name, adapted): tensor for name, tensor in bare.items()}
    method = PeftMethod(peft=PeftSettings(**settings))
    return PortableAdapter(method, own, head.portable(tensors) if head else None)


def _stored(name: str, adapted: Collection[str]) -> str:
    """What the library's model calls a tensor that its files name otherwise, or earlier versions did."""
    if name.endswith(".lora_magnitude_vector"):
        return f"{name}.weight"
    stem = name.removesuffix(".bias")
    return f"{stem}.base_layer.bias" if stem in adapted and name != stem else name


@dataclass(frozen=True)
class _TrainedHead:
    """A head of the library's that was trained along."""

    kind: TaskKind[Any]
    own: Mapping[str, str]
    """Name in the file → name here."""
    shapes: Mapping[str, tuple[int, ...]]
    """By the names in the file."""

    def portable(self, tensors: Mapping[str, Tensor]) -> PortableHead:
        """The head, with labels that bear numbers only: the library keeps their names in the model's configuration."""
        found = {own: tensors[name] for name, own in self.own.items()}
        labels = unnamed(len(found["output.weight"])) if self.kind.labelled else ()
        return PortableHead(self.kind.name, labels, found)


def _has_head(config: Mapping[str, Any], found: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a head was trained along; earlier versions of the library saved one without naming it."""
    return bool(config.get("modules_to_save")) or any(
        name.startswith(_HEAD) and name.endswith(".weight") for name in found
    )


def _head(path: Path, found: Mapping[str, tuple[int, ...]], encoder: Encoder) -> _TrainedHead:
    """The head that a file holds, by the shapes in it."""
    layered = [(one, f"{_HEAD}{one.classifier['output']}weight") for one in portable().values() if one.classifier]
    weight = next((name for _, name in layered if name in found), layered[0][1])
    outputs = found.get(weight, ())[:1]
    if outputs in ((), (0,)):
        raise FormatError(f"{path} lacks {weight}: the head it was trained with is not one that adapterx reads")
    kind = next(one for one, name in layered if name == weight and one.is_classifier(outputs[0]))
    shapes = head_shapes(kind.name, outputs[0] if kind.labelled else 0, encoder.shape.hidden)
    places = {key: key.partition(".") for key in shapes}
    names = {f"{_HEAD}{kind.classifier[layer]}{what}": key for key, (layer, _, what) in places.items()}
    return _TrainedHead(kind, names, {name: shapes[key] for name, key in names.items()})
