"""LoRA in the files of `peft` 0.21.2: `adapter_config.json` and `adapter_model.safetensors`.

The adapter sits on the bare encoder (task type FEATURE_EXTRACTION). Which modules a configuration means follows
`peft.tuners.tuners_utils.check_target_module_exists`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from adapterx.backbones.walk import Module
from adapterx.formats.adapter import Encoder, PortableAdapter, PortableHead, expected, head_shapes, unnamed
from adapterx.formats.errors import FormatError
from adapterx.formats.files import (
    CONFIG,
    PEFT_WEIGHTS,
    read_config,
    read_tensors,
    tensor_shapes,
    write_config,
    write_tensors,
)
from adapterx.formats.patterns import Pattern, PatternError
from adapterx.formats.settings import flag, number, texts, whole
from adapterx.methods.config import Lora, adapted_layers
from adapterx.methods.lora import MODULE_PATH
from adapterx.tasks.kinds import portable
from adapterx.tasks.kinds.base import TaskKind
from adapterx.wording import plain, shown

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
    path, weights = directory / CONFIG, directory / PEFT_WEIGHTS
    config = read_config(path)
    _check_config(path, config)
    found = tensor_shapes(weights)
    prefix = _HEADED if any(name.startswith(_HEADED) for name in found) else PREFIX
    method = _method(path, config, encoder, prefix.removeprefix(PREFIX))
    in_file = {f"{prefix}{parameter.name}.weight": parameter for parameter in expected(method, encoder.shape)}
    shapes = {name: parameter.shape for name, parameter in in_file.items()}
    trained, saved = _head(weights, found, encoder) if config.get("modules_to_save") else (None, {})
    shapes |= {name: shape for name, (_, shape) in saved.items()}
    tensors = read_tensors(weights, shapes, f"this LoRA in an encoder of {_size(encoder)}")
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


def _size(encoder: Encoder) -> str:
    return f"{encoder.shape.layers} layers of {encoder.shape.hidden} features"


def _check_config(path: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise FormatError(f"{path}: peft_type {shown(kind)} cannot be read; adapterx reads LORA")
    for key, value in config.items():
        if key in _READ or key in _HARMLESS:
            continue
        if key == "init_lora_weights":
            _check_start(path, value)
            continue
        if key == "modules_to_save" and set(texts(value) or [key]) <= _HEADS:
            continue
        if key not in _UNUSED:
            if value not in (None, False, {}, [], ""):
                raise FormatError(
                    f"{path}: the setting {plain(key)} ({shown(value)}) is not known, and may change what is computed"
                )
        elif value != _UNUSED[key] and value not in (None, {}, []):
            raise FormatError(
                f"{path}: {key}: {shown(value)} is not supported; adapterx reads plain LoRA: merge the adapter into "
                "the backbone with peft's merge_and_unload, or train it without that setting"
            )


def _check_start(path: Path, value: object) -> None:
    if value not in PLAIN_STARTS:
        raise FormatError(
            f"{path}: init_lora_weights: {shown(value)} changes the backbone too: save the adapter again with peft's "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it"
        )


def _method(path: Path, config: Mapping[str, Any], encoder: Encoder, stem: str) -> Lora:
    rank = whole(path, config, "r")
    alpha = number(path, config, "lora_alpha")
    dropout = number(path, config, "lora_dropout", 0.0, least=0.0, most=1.0)
    if flag(path, config, "use_rslora", default=False):
        # Scaled by alpha / sqrt(rank) there, by alpha / rank here.
        alpha *= math.sqrt(rank)
    modules, layers = _matched(path, config, encoder.shape.layers, stem)
    return Lora(rank, alpha, dropout, modules, None if len(layers) == encoder.shape.layers else layers)


def _matched(
    path: Path, config: Mapping[str, Any], depth: int, stem: str
) -> tuple[tuple[Module, ...], tuple[int, ...]]:
    """The modules and layers that a configuration means.

    Args:
        stem: what the names of the encoder's modules begin with in the model that was adapted.
    """
    is_target = _targets(path, config, depth)
    found = [
        (layer, module)
        for layer in range(depth)
        for module, end in MODULE_PATH.items()
        if is_target(f"{stem}encoder.layer.{layer}.{end}", layer)
    ]
    layers = tuple(sorted({layer for layer, _ in found}))
    modules: tuple[Module, ...] = tuple(sorted({module for _, module in found}))
    if not found:
        raise FormatError(
            f"{path}: target_modules {shown(config.get('target_modules'))} name no linear layer of the encoder"
        )
    if len(found) != len(layers) * len(modules):
        raise FormatError(f"{path}: target_modules differ from layer to layer; adapterx has the same in every layer")
    return modules, layers


def _targets(path: Path, config: Mapping[str, Any], depth: int) -> Callable[[str, int], bool]:
    """Whether the library adapts a module, by its name and layer.

    A name of a list that is a module's whole name means it in whichever layer it is; of expressions and of endings
    `layers_to_transform` chooses the layers only where it is given, and of expressions never.
    """
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if not targets:
        raise FormatError(f"{path}: target_modules is {shown(targets)}; it should name the adapted modules")
    meant = _naming(path, "target_modules", targets)
    left_out = _naming(path, "exclude_modules", excluded) if excluded not in (None, [], "") else None
    by_layer = _chosen_layers(path, config, depth)
    in_full = frozenset(targets) if isinstance(targets, list) else frozenset()

    def is_target(key: str, layer: int) -> bool:
        if (left_out is not None and left_out(key)) or not meant(key):
            return False
        return isinstance(targets, str) or key in in_full or by_layer is None or layer in by_layer

    return is_target


def _chosen_layers(path: Path, config: Mapping[str, Any], depth: int) -> frozenset[int] | None:
    """What `layers_to_transform` and `layers_pattern` choose; None for all layers."""
    chosen, patterns = config.get("layers_to_transform"), config.get("layers_pattern")
    layers = [chosen] if type(chosen) is int else chosen
    if layers is not None and not (isinstance(layers, list) and all(type(layer) is int for layer in layers)):
        raise FormatError(f"{path}: layers_to_transform is {shown(chosen)}; it should be a list of whole numbers")
    names = texts([] if patterns in (None, "") else [patterns] if isinstance(patterns, str) else patterns)
    if names is None or not all(name.replace("_", "a").isalnum() for name in names):
        raise FormatError(f"{path}: layers_pattern is {shown(patterns)}; it should be a name, or a list of names")
    if not layers:
        return None
    if max(layers) >= depth:
        raise FormatError(f"{path}: layers_to_transform {shown(chosen)} do not fit an encoder of {depth} layers")
    return frozenset(layers) if "layer" in (names or ["layer"]) else frozenset()


def _naming(path: Path, setting: str, given: object) -> Callable[[str], bool]:
    """Whether a setting means a module: a list of names and of what follows a dot in them, or a regular expression."""
    if isinstance(given, str):
        return _expression(path, setting, given)
    names = texts(given)
    if names is None:
        raise FormatError(
            f"{path}: {setting} is {shown(given)}; it should be a list of module names, or a regular expression"
        )
    known = frozenset(names)
    return lambda key: any(ending in known for ending in _endings(key))


def _expression(path: Path, setting: str, given: str) -> Callable[[str], bool]:
    if setting == "target_modules" and given.lower() == "all-linear":
        return lambda key: True

    def refused(error: PatternError) -> FormatError:
        return FormatError(f"{path}: {setting} {shown(given)} {error}")

    try:
        pattern = Pattern(given)
    except PatternError as error:
        raise refused(error) from None

    def matches(key: str) -> bool:
        try:
            return pattern.fullmatch(key)
        except PatternError as error:
            raise refused(error) from None

    return matches


def _endings(key: str) -> Iterator[str]:
    """`a.b.c`, `b.c`, `c`."""
    yield key
    while "." in key:
        key = key.partition(".")[2]
        yield key
