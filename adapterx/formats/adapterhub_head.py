"""AdapterHub's prediction heads: `head_config.json` and `model_head.safetensors`.

A head there is a list of modules: for each layer but the last dropout, linear, activation; then dropout and linear.
Ours are those of two layers with tanh (classification, multiple choice) and of one (tagging, question answering).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapterx.formats.adapter import Encoder, PortableHead, head_shapes, unnamed
from adapterx.formats.errors import FormatError
from adapterx.formats.files import HEAD_CONFIG, HUB_HEAD, read_config, read_tensors, write_config, write_tensors
from adapterx.formats.settings import whole as whole_number
from adapterx.methods.head import LINEAR
from adapterx.tasks.kinds.encoding import Format
from adapterx.tasks.kinds.extractive_qa.loss import OUTPUTS
from adapterx.wording import shown

_TYPES: dict[Format, str] = {
    "pair-classification": "classification",
    "tagging": "tagging",
    "multiple-choice": "multiple_choice",
    "extractive-qa": "question_answering",
}
_PLACES = {2: {"dense": 1, "output": 4}, 1: {"output": 1}}
"""Position of each linear layer in a head of two layers, and of one."""


def write(directory: Path, head: PortableHead, name: str, facts: Mapping[str, Any]) -> None:
    """Write a head beside its adapter, under the same name."""
    config: dict[str, Any] = {
        "activation_function": "tanh",
        "dropout_prob": None,
        "head_type": _TYPES[head.format],
        "label2id": {label: place for place, label in enumerate(head.labels or unnamed(OUTPUTS))},
        "layers": _layers(head.format),
    }
    if head.format == "multiple-choice":
        config |= {"num_choices": len(head.labels), "use_pooler": False}
    else:
        config |= {"num_labels": OUTPUTS if head.format == "extractive-qa" else len(head.labels)}
    if head.format == "pair-classification":
        config |= {"bias": True, "use_pooler": False}
    write_config(directory / HEAD_CONFIG, {"config": config, **facts, "model_class": "XLMRobertaAdapterModel"})
    write_tensors(
        directory / HUB_HEAD, {_in_file(key, name, head.format): tensor for key, tensor in head.tensors.items()}
    )


def _layers(format_: Format) -> int:
    return 1 if format_ in LINEAR else 2


def _in_file(key: str, name: str, format_: Format) -> str:
    part, kind = key.split(".")
    return f"heads.{name}.{_PLACES[_layers(format_)][part]}.{kind}"


def read(directory: Path, encoder: Encoder) -> PortableHead:
    """Read the head of an adapter directory. FormatError for a head that adapterx would compute differently."""
    path = directory / HEAD_CONFIG
    whole = read_config(path)
    config, name = whole.get("config"), whole.get("name")
    if not isinstance(config, dict) or not isinstance(name, str):
        raise FormatError(
            f"{path} describes a model's own head, not one of AdapterHub's: save it from an XLMRobertaAdapterModel"
        )
    if whole.get("hidden_size") != encoder.shape.hidden:
        raise FormatError(
            f"{path}: the head is for {shown(whole.get('hidden_size'))} features, the backbone has "
            f"{encoder.shape.hidden}"
        )
    format_ = next((format_ for format_, kind in _TYPES.items() if kind == config.get("head_type")), None)
    if format_ is None:
        raise FormatError(
            f"{path}: a head of type {shown(config.get('head_type'))} cannot be used; {', '.join(_TYPES.values())} can"
        )
    wanted: dict[str, object] = {"layers": _layers(format_), "use_pooler": False, "bias": True}
    wanted |= {} if format_ in LINEAR else {"activation_function": "tanh"}
    wanted |= {"num_labels": OUTPUTS} if format_ == "extractive-qa" else {}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise FormatError(f"{path}: {key}: {shown(config[key])} is not supported here; it should be {value!r}")
    labels = () if format_ == "extractive-qa" else _labels(path, config)
    shapes = head_shapes(format_, len(labels), encoder.shape.hidden)
    in_file = {_in_file(key, name, format_): key for key in shapes}
    found = read_tensors(directory / HUB_HEAD, {key: shapes[own] for key, own in in_file.items()}, "this head")
    return PortableHead(format_, labels, {in_file[key]: tensor for key, tensor in found.items()})


def _labels(path: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Class names in the order of the outputs."""
    key = "num_choices" if config.get("head_type") == "multiple_choice" else "num_labels"
    count, given = whole_number(path, config, key), config.get("label2id")
    if given is None:
        return unnamed(count)
    if not isinstance(given, dict) or sorted(map(str, given.values())) != sorted(map(str, range(len(given)))):
        raise FormatError(f"{path}: label2id {shown(given)} does not number the labels from 0")
    if count != len(given):
        raise FormatError(f"{path}: label2id has {len(given)} labels, the head {count}")
    return tuple(sorted(given, key=lambda label: int(given[label])))
