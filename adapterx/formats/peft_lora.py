"""LoRA in the files of `peft` 0.21.2: `adapter_config.json` and `adapter_model.safetensors`.

The adapter sits on the bare encoder (task type FEATURE_EXTRACTION). Which modules a configuration means follows
`peft.tuners.tuners_utils.check_target_module_exists`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from adapterx.backbones.packed import Module
from adapterx.formats.adapter import Encoder, PortableAdapter, PortableHead, expected, head_shapes, unnamed
from adapterx.formats.errors import FormatError
from adapterx.formats.files import (
    CONFIG,
    PEFT_WEIGHTS,
    read_config,
    read_tensors,
    tensor_names,
    tensor_shape,
    write_config,
    write_tensors,
)
from adapterx.methods.config import Lora, adapted_layers
from adapterx.methods.lora import MODULE_PATH
from adapterx.tasks.examples import Format

PREFIX = "base_model.model."
_HEADED = "base_model.model.roberta."
"""Where the adapter was made on a model with a head of the library's own."""

_HEAD = "base_model.model.classifier."
_HEADS = {"classifier", "score"}
"""What the library trains along with LoRA for SEQ_CLS and TOKEN_CLS."""

_UNUSED: dict[str, Any] = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "bias": "none",
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "kasa_config": None,
    "layer_replication": None,
    "loftq_config": {},
    "lora_bias": False,
    "lora_ga_config": None,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": None,
    "monteclora_config": None,
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "rank_pattern": {},
    "target_parameters": None,
    "trainable_token_indices": None,
    "use_bdlora": None,
    "use_dora": False,
    "use_qalora": False,
    "velora_config": None,
}
"""What a plain LoRA leaves as it is."""

_HARMLESS = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "ensure_weight_tying",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
}
"""Settings that change nothing about what stored weights compute: how they began, and for what library version."""

PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""Initialisations that leave the backbone as it is. Others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) take the adapter's
start out of the backbone's weights, and the stored adapter means nothing without that."""

_READ = {
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "peft_type",
    "r",
    "target_modules",
    "use_rslora",
}


def write(directory: Path, adapter: PortableAdapter, encoder: Encoder) -> None:
    """Write a LoRA into an existing directory; FormatError for another method."""
    if not isinstance(adapter.method, Lora):
        raise FormatError(
            f"peft has no {type(adapter.method).__name__.lower()} adapters: export this one with --format adapterhub"
        )
    _check_tensors(adapter, encoder)
    write_config(directory / CONFIG, lora_config(adapter.method, encoder))
    write_tensors(
        directory / PEFT_WEIGHTS, {f"{PREFIX}{name}.weight": tensor for name, tensor in adapter.tensors.items()}
    )


def _check_tensors(adapter: PortableAdapter, encoder: Encoder) -> None:
    known = {parameter.name for parameter in expected(adapter.method, encoder.shape)}
    if wrong := sorted(known ^ adapter.tensors.keys()):
        raise FormatError(f"the adapter is not a single {type(adapter.method).__name__}: {wrong[0]} is out of place")


def lora_config(method: Lora, encoder: Encoder) -> dict[str, Any]:
    """The library's `adapter_config.json` of a LoRA."""
    targets = {_suffix(module) for module in method.target_modules}
    if "output" in method.target_modules:
        if "attention_output" in method.target_modules:
            # One suffix means both, and no other module of a layer.
            targets = targets - {MODULE_PATH["attention_output"]} | {MODULE_PATH["output"]}
        else:
            # The suffix alone would reach the attention's output too.
            layers = adapted_layers(method.layers, encoder.shape.layers)
            targets |= {f"encoder.layer.{layer}.{MODULE_PATH['output']}" for layer in layers}
    config = {
        **_UNUSED,
        "base_model_name_or_path": encoder.model or None,
        "revision": encoder.revision,
        "layers_pattern": None if method.layers is None else "layer",
        "layers_to_transform": None if method.layers is None else list(method.layers),
        "lora_alpha": _number(method.alpha),
        "lora_dropout": method.dropout,
        "peft_type": "LORA",
        "r": method.rank,
        "target_modules": sorted(targets - {""}),
        "task_type": "FEATURE_EXTRACTION",
        "use_rslora": False,
    }
    return config


def _suffix(module: Module) -> str:
    """The shortest name that ends only this module's path; empty for `output`, which has none of its own."""
    if module in ("query", "key", "value"):
        return module
    return "" if module == "output" else MODULE_PATH[module]


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def read(directory: Path, encoder: Encoder) -> PortableAdapter:
    """Read a LoRA for this encoder. FormatError for whatever does not fit it completely."""
    path = directory / CONFIG
    config = read_config(path)
    _check_config(path, config)
    method = _method(path, config, encoder)
    names = tensor_names(directory / PEFT_WEIGHTS)
    prefix = _HEADED if any(name.startswith(_HEADED) for name in names) else PREFIX
    in_file = {f"{prefix}{parameter.name}.weight": parameter for parameter in expected(method, encoder.shape)}
    shapes = {name: parameter.shape for name, parameter in in_file.items()}
    saved = _head(directory / PEFT_WEIGHTS, encoder) if config.get("modules_to_save") else {}
    shapes |= {name: shape for name, (_, shape) in saved.items()}
    tensors = read_tensors(directory / PEFT_WEIGHTS, shapes, f"this LoRA in an encoder of {_size(encoder)}")
    own = {parameter.name: tensors[name] for name, parameter in in_file.items()}
    return PortableAdapter(method, own, _portable({own: tensors[name] for name, (own, _) in saved.items()}))


def _head(path: Path, encoder: Encoder) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Of a head of the library's that was trained along: name in the file → name here, and shape."""
    names = tensor_names(path)
    format_: Format = "tagging" if f"{_HEAD}weight" in names else "pair-classification"
    layers = {"output": ""} if format_ == "tagging" else {"dense": "dense.", "output": "out_proj."}
    weight = f"{_HEAD}{layers['output']}weight"
    if weight not in names:
        raise FormatError(f"{path} lacks {weight}: the head it was trained with is not one that adapterx reads")
    shapes = head_shapes(format_, tensor_shape(path, weight)[0], encoder.shape.hidden)
    places = {key: key.partition(".") for key in shapes}
    return {f"{_HEAD}{layers[part]}{kind}": (key, shapes[key]) for key, (part, _, kind) in places.items()}


def _portable(tensors: Mapping[str, Tensor]) -> PortableHead | None:
    """The head, with labels that bear numbers only: the library keeps their names in the model's configuration."""
    if not tensors:
        return None
    count = len(tensors["output.weight"])
    format_: Format = "pair-classification" if "dense.weight" in tensors else "tagging"
    return PortableHead(format_, unnamed(count), tensors)


def _size(encoder: Encoder) -> str:
    return f"{encoder.shape.layers} layers of {encoder.shape.hidden} features"


def _check_config(path: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise FormatError(f"{path}: peft_type {kind!r} cannot be read; adapterx reads LORA")
    for key, value in config.items():
        if key in _READ or key in _HARMLESS:
            continue
        if key == "init_lora_weights":
            _check_start(path, value)
            continue
        if key == "modules_to_save" and isinstance(value, list) and set(value) <= _HEADS:
            continue
        if key not in _UNUSED:
            if value not in (None, False, {}, [], ""):
                raise FormatError(
                    f"{path}: the setting {key} ({value!r}) is not known, and may change what is computed"
                )
        elif value != _UNUSED[key] and value not in (None, {}, []):
            raise FormatError(
                f"{path}: {key}: {value!r} is not supported; adapterx reads plain LoRA: merge the adapter into the "
                "backbone with peft's merge_and_unload, or train it without that setting"
            )


def _check_start(path: Path, value: object) -> None:
    if value not in PLAIN_STARTS:
        raise FormatError(
            f"{path}: init_lora_weights: {value!r} changes the backbone too: save the adapter again with peft's "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it"
        )


def _method(path: Path, config: Mapping[str, Any], encoder: Encoder) -> Lora:
    rank, alpha, dropout = config.get("r"), config.get("lora_alpha"), config.get("lora_dropout", 0.0)
    if type(rank) is not int or rank < 1:
        raise FormatError(f"{path}: r is {rank!r}, not a positive whole number")
    for key, value in (("lora_alpha", alpha), ("lora_dropout", dropout)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FormatError(f"{path}: {key} is {value!r}, not a number")
    assert isinstance(alpha, int | float) and isinstance(dropout, int | float)
    if config.get("use_rslora"):
        # Scaled by alpha / sqrt(rank) there, by alpha / rank here.
        alpha = alpha * math.sqrt(rank)
    modules, layers = _matched(path, config, encoder.shape.layers)
    depth = encoder.shape.layers
    return Lora(rank, float(alpha), float(dropout), modules, None if len(layers) == depth else layers)


def _matched(path: Path, config: Mapping[str, Any], depth: int) -> tuple[tuple[Module, ...], tuple[int, ...]]:
    """The modules and layers that a configuration means."""
    found = [
        (layer, module)
        for layer in range(depth)
        for module, end in MODULE_PATH.items()
        if _is_target(path, config, f"encoder.layer.{layer}.{end}")
    ]
    layers = tuple(sorted({layer for layer, _ in found}))
    modules: tuple[Module, ...] = tuple(sorted({module for _, module in found}))
    if not found:
        raise FormatError(
            f"{path}: target_modules {config.get('target_modules')!r} name no linear layer of the encoder"
        )
    if len(found) != len(layers) * len(modules):
        raise FormatError(f"{path}: target_modules differ from layer to layer; adapterx has the same in every layer")
    chosen = config.get("layers_to_transform")
    if chosen and max([chosen] if isinstance(chosen, int) else chosen) >= depth:
        raise FormatError(f"{path}: layers_to_transform {chosen} do not fit an encoder of {depth} layers")
    return modules, layers


def _is_target(path: Path, config: Mapping[str, Any], key: str) -> bool:
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if excluded and _names(path, excluded, key):
        return False
    if targets == "all-linear":
        return True
    if not targets:
        raise FormatError(f"{path}: target_modules is {targets!r}; it should name the adapted modules")
    if not _names(path, targets, key):
        return False
    chosen = config.get("layers_to_transform")
    if isinstance(targets, str) or key in targets or chosen is None or chosen == []:
        return True
    patterns = config.get("layers_pattern")
    if patterns and "layer" not in ([patterns] if isinstance(patterns, str) else patterns):
        return False
    layer = int(key.split(".")[2])
    return layer in ([chosen] if isinstance(chosen, int) else chosen)


def _names(path: Path, names: str | Sequence[str], key: str) -> bool:
    """Whether a regular expression, or a list of names and their endings, means this module."""
    keys = (key, f"roberta.{key}")
    if isinstance(names, str):
        try:
            return any(re.fullmatch(names, one) is not None for one in keys)
        except re.error as error:
            raise FormatError(f"{path}: {names!r} is not a regular expression: {error}") from error
    return any(one == name or one.endswith(f".{name}") for name in names for one in keys)
