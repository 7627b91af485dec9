"""Adapters in the files of `peft` 0.21.2: `adapter_config.json` and `adapter_model.safetensors`.

An adapter with a classifier sits on the library's model for it, whose head is saved along (SEQ_CLS and TOKEN_CLS with
`modules_to_save`), any other on the bare encoder (FEATURE_EXTRACTION). What a configuration means, each method's own
codec says (`formats.codec`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import (
    CONFIG,
    PEFT_WEIGHTS,
    read_config,
    read_tensors,
    tensor_shapes,
    write_config,
    write_tensors,
)
from adapterx.files.errors import FormatError
from adapterx.formats.adapter import (
    PortableAdapter,
    PortableHead,
    check_tensors,
    expected,
    head_shapes,
    unnamed,
)
from adapterx.formats.codec import peft_codec, peft_codecs
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


def read(directory: Path, encoder: Encoder) -> PortableAdapter:
    """Read an adapter for this encoder. FormatError for whatever does not fit it completely."""
    path, weights = directory / CONFIG, directory / PEFT_WEIGHTS
    config = read_config(path)
    codecs, kind = peft_codecs(), config.get("peft_type")
    if not isinstance(kind, str) or kind not in codecs:
        raise FormatError(f"{path}: peft_type {shown(kind)} cannot be read; adapterx reads {', '.join(codecs)}")
    codec = codecs[kind]
    codec.check(path, config)
    found = tensor_shapes(weights)
    prefix = _HEADED if any(name.startswith(_HEADED) for name in found) else PREFIX
    method = codec.read(path, config, encoder, prefix.removeprefix(PREFIX))
    in_file = {f"{prefix}{codec.name_in_file(one.name)}": one for one in expected(method, encoder.shape)}
    shapes = {name: parameter.shape for name, parameter in in_file.items()}
    trained, saved = _head(weights, found, encoder) if config.get("modules_to_save") else (None, {})
    shapes |= {name: shape for name, (_, shape) in saved.items()}
    what = f"this {method.plural} in an encoder of {encoder.shape.layers} layers of {encoder.shape.hidden} features"
    tensors = read_tensors(weights, shapes, what)
    own = {parameter.name: tensors[name] for name, parameter in in_file.items()}
    head = {own: tensors[name] for name, (own, _) in saved.items()}
    return PortableAdapter(method, own, None if trained is None else _portable(trained, head))


def _head(
    path: Path, found: Mapping[str, tuple[int, ...]], encoder: Encoder
) -> tuple[TaskKind[Any], dict[str, tuple[str, tuple[int, ...]]]]:
    """A head of the library's that was trained along: its kind; and name in the file → name here, and shape.

    Args:
        found: the shapes in the file.
    """
    layered = [(one, f"{_HEAD}{one.classifier['output']}weight") for one in portable().values() if one.classifier]
    weight = next((name for _, name in layered if name in found), layered[0][1])
    outputs = found.get(weight, ())[:1]
    if outputs in ((), (0,)):
        raise FormatError(f"{path} lacks {weight}: the head it was trained with is not one that adapterx reads")
    kind = next(one for one, name in layered if name == weight and one.is_classifier(outputs[0]))
    shapes = head_shapes(kind.name, outputs[0] if kind.labelled else 0, encoder.shape.hidden)
    places = {key: key.partition(".") for key in shapes}
    named = {f"{_HEAD}{kind.classifier[layer]}{what}": (key, shapes[key]) for key, (layer, _, what) in places.items()}
    return kind, named


def _portable(kind: TaskKind[Any], tensors: Mapping[str, Tensor]) -> PortableHead:
    """The head, with labels that bear numbers only: the library keeps their names in the model's configuration."""
    labels = unnamed(len(tensors["output.weight"])) if kind.labelled else ()
    return PortableHead(kind.name, labels, tensors)
