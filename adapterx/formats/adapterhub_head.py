"""AdapterHub's prediction heads: `head_config.json` and `model_head.safetensors`.

A head there is a list of modules: for each layer but the last dropout, linear, activation; then dropout and linear.
Ours are those of two layers with tanh (classification, multiple choice) and of one (tagging, question answering).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterx.backbones.shape import Encoder
from adapterx.files.adapter_files import (
    HEAD_CONFIG,
    HUB_HEAD,
    read_config,
    read_tensors,
    tensor_shapes,
    weights_in,
    write_config,
    write_tensors,
)
from adapterx.files.errors import FormatError
from adapterx.files.settings import whole as whole_number
from adapterx.formats.adapter import PortableHead, head_shapes, unnamed
from adapterx.tasks.kinds import portable
from adapterx.tasks.kinds.base import TaskKind
from adapterx.wording import shown

_PLACES = {2: {"dense": 1, "output": 4}, 1: {"output": 1}}
"""Position of each linear layer in a head of two layers, and of one."""
_MODELS_OWN = "classifier."
"""Where the models of Hugging Face's have the layers of their heads."""


def write(directory: Path, head: PortableHead, name: str, facts: Mapping[str, Any]) -> None:
    """Write a head beside its adapter, under the same name."""
    kind = head.kind
    config: dict[str, Any] = {
        "activation_function": "tanh",
        "dropout_prob": None,
        "head_type": kind.hub_type,
        "label2id": {label: place for place, label in enumerate(head.labels or unnamed(kind.outputs(0)))},
        "layers": _layers(kind),
        **kind.hub_config(len(head.labels)),
    }
    write_config(directory / HEAD_CONFIG, {"config": config, **facts, "model_class": "XLMRobertaAdapterModel"})
    write_tensors(directory / HUB_HEAD, {_in_file(key, name, kind): tensor for key, tensor in head.tensors.items()})


def _layers(kind: TaskKind[Any]) -> int:
    return 2 if kind.dense else 1


def _in_file(key: str, name: str, kind: TaskKind[Any]) -> str:
    layer, what = key.split(".")
    return f"heads.{name}.{_PLACES[_layers(kind)][layer]}.{what}"


def read(directory: Path, encoder: Encoder) -> PortableHead:
    """Read the head of an adapter directory. FormatError for a head that adapterx would compute differently."""
    path, weights = directory / HEAD_CONFIG, weights_in(directory, HUB_HEAD)
    whole = read_config(path)
    if whole.get("hidden_size") != encoder.shape.hidden:
        raise FormatError(
            f"{path}: the head is for {shown(whole.get('hidden_size'))} features, the backbone has "
            f"{encoder.shape.hidden}"
        )
    config, name = whole.get("config"), whole.get("name")
    if config is None:
        return _models_own(path, weights, whole, encoder)
    if not isinstance(config, dict) or not isinstance(name, str):
        raise FormatError(f"{path} describes no head of AdapterHub's: save it from an XLMRobertaAdapterModel")
    kind = _kind(path, config)
    labels = _labels(path, config, kind.hub_count) if kind.labelled else ()
    shapes = head_shapes(kind.name, len(labels), encoder.shape.hidden)
    return _read(weights, kind, labels, {_in_file(key, name, kind): key for key in shapes}, shapes)


def _kind(path: Path, config: Mapping[str, Any]) -> TaskKind[Any]:
    """What it is a head of; FormatError where adapterx would compute it differently."""
    known = portable().values()
    kind = next((one for one in known if one.is_hub_head(config)), None)
    if kind is None:
        types = ", ".join(dict.fromkeys(one.hub_type for one in known))
        raise FormatError(f"{path}: a head of type {shown(config.get('head_type'))} cannot be used; {types} can")
    wanted: dict[str, object] = {"layers": _layers(kind), "use_pooler": False, "bias": True}
    wanted |= {"activation_function": "tanh"} if kind.dense else {}
    wanted |= {} if kind.labelled else {"num_labels": kind.outputs(0)}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise FormatError(f"{path}: {key}: {shown(config[key])} is not supported here; it should be {value!r}")
    return kind


def _models_own(path: Path, weights: Path, whole: Mapping[str, Any], encoder: Encoder) -> PortableHead:
    """The head of a model of Hugging Face's that the library has given adapters, told by its tensors."""
    found = tensor_shapes(weights)
    layered = [(one, f"{_MODELS_OWN}{one.classifier['output']}") for one in portable().values() if one.classifier]
    outputs = {stem: found.get(f"{stem}weight", (0,))[0] for _, stem in layered}
    kind = next((one for one, stem in layered if outputs[stem] and one.is_classifier(outputs[stem])), None)
    if kind is None:
        raise FormatError(
            f"{path} describes the head of {shown(whole.get('model_class'))}, which adapterx does not compute: save it "
            "from an XLMRobertaAdapterModel"
        )
    count = outputs[f"{_MODELS_OWN}{kind.classifier['output']}"]
    labels = _labels(path, {"label2id": whole.get("label2id"), "count": count}, "count") if kind.labelled else ()
    shapes = head_shapes(kind.name, len(labels), encoder.shape.hidden)
    places = {key: key.partition(".") for key in shapes}
    names = {f"{_MODELS_OWN}{kind.classifier[layer]}{what}": key for key, (layer, _, what) in places.items()}
    return _read(weights, kind, labels, names, shapes)


def _read(
    weights: Path,
    kind: TaskKind[Any],
    labels: tuple[str, ...],
    names: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
) -> PortableHead:
    """The head whose tensors bear these names in the file."""
    found = read_tensors(weights, {name: shapes[own] for name, own in names.items()}, "this head")
    return PortableHead(kind.name, labels, {names[name]: tensor for name, tensor in found.items()})


def _labels(path: Path, config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Class names in the order of the outputs; `key` counts them."""
    count, given = whole_number(path, config, key), config.get("label2id")
    if given is None:
        return unnamed(count)
    if not isinstance(given, dict) or sorted(map(str, given.values())) != sorted(map(str, range(len(given)))):
        raise FormatError(f"{path}: label2id {shown(given)} does not number the labels from 0")
    if count != len(given):
        raise FormatError(f"{path}: label2id has {len(given)} labels, the head {count}")
    return tuple(sorted(given, key=lambda label: int(given[label])))
