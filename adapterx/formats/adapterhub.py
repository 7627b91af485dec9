"""Adapters in the files of AdapterHub's `adapters` 1.3.0, as `save_adapter(…, use_safetensors=True)` writes them.

Bottlenecks as `seq_bn`, `double_seq_bn` and `par_bn`, LoRA, and prediction heads (`adapterhub_head`). Names in the
files are those of an encoder without a prefix; the library adds or drops the prefix of the model it loads into.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from adapterx.formats import adapterhub_head
from adapterx.formats.adapter import Encoder, PortableAdapter, expected
from adapterx.formats.errors import FormatError
from adapterx.formats.files import (
    CONFIG,
    HUB_HEAD,
    HUB_WEIGHTS,
    read_config,
    read_tensors,
    tensor_shapes,
    write_config,
    write_tensors,
)
from adapterx.formats.settings import LARGEST, flag, number, whole
from adapterx.methods import bottleneck, invertible
from adapterx.methods.config import Activation, Bottleneck, Lora, Method, Placement, adapted_layers
from adapterx.wording import plain, shown

VERSION = "adapters.1.3.0"
_MODELS = {"xlm-roberta": "XLMRobertaModel"}
_PREFIX = "roberta."

_PLACEMENTS: dict[Placement, dict[str, Any]] = {
    "sequential": {"mh_adapter": False, "is_parallel": False, "original_ln_before": True},
    "double": {"mh_adapter": True, "is_parallel": False, "original_ln_before": False},
    "parallel": {"mh_adapter": False, "is_parallel": True, "original_ln_before": False},
}
_BOTTLENECK: dict[str, Any] = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "ln_after": False,
    "ln_before": False,
    "original_ln_after": True,
    "output_adapter": True,
    "phm_layer": False,
    "residual_before_ln": True,
    "use_gating": False,
}
"""What the three placements share, and what any other configuration is refused for."""
_BOTTLENECK_REST: dict[str, Any] = {
    "factorized_phm_W": True,
    "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform",
    "init_weights_seed": None,
    "learn_phm": True,
    "phm_bias": True,
    "phm_c_init": "normal",
    "phm_dim": 4,
    "phm_init_range": 0.0001,
    "phm_rank": 1,
    "shared_W_phm": False,
    "shared_phm_rule": True,
    "stochastic_depth": 0.0,
}
"""Means nothing for stored weights of a plain bottleneck."""
_LORA: dict[str, Any] = {
    "architecture": "lora",
    "composition_mode": "add",
    "use_dora": False,
    "use_gating": False,
    "vera_b": None,
    "vera_d": None,
}
_LORA_REST: dict[str, Any] = {"dtype": None, "init_weights": "lora", "init_weights_seed": None}
_ATTENTION = {"query": "q", "key": "k", "value": "v"}
_ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu": "gelu", "swish": "swish", "silu": "swish"}
_SMALLEST_FACTOR = 1e-3
"""A bottleneck a thousand times as wide as the encoder, which nobody means."""
_CHECKED_DEFAULTS: dict[str, Any] = {"is_parallel": False}


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
    _check_tensors(adapter, encoder)
    config = (
        _lora_config(adapter.method, encoder)
        if isinstance(adapter.method, Lora)
        else bottleneck_config(adapter.method, encoder)
    )
    write_config(directory / CONFIG, {"config": config, **facts(encoder, name)})
    own = {parameter.name: name_in_file(parameter.name, name) for parameter in expected(adapter.method, encoder.shape)}
    write_tensors(directory / HUB_WEIGHTS, {own[key]: tensor for key, tensor in adapter.tensors.items()})
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


def _check_tensors(adapter: PortableAdapter, encoder: Encoder) -> None:
    known = {parameter.name for parameter in expected(adapter.method, encoder.shape)}
    if wrong := sorted(known ^ adapter.tensors.keys()):
        raise FormatError(f"the adapter is not a single {type(adapter.method).__name__}: {wrong[0]} is out of place")


def name_in_file(key: str, name: str) -> str:
    """Of a tensor the library's name, the adapter's name in it.

    `….adapter.down.weight` → `….adapters.NAME.adapter_down.0.weight`; `….query.lora_A` → `….loras.NAME.lora_A`.
    """
    if key.startswith(invertible.PREFIX):
        part, direction, kind = key.removeprefix(invertible.PREFIX).split(".")
        return f"invertible_adapters.{name}.{part}.{0 if direction == 'down' else 2}.{kind}"
    if ".adapter." in key:
        place, end = key.split(".adapter.")
        direction, kind = end.split(".")
        step = "adapter_down.0" if direction == "down" else "adapter_up"
        return f"{place}.adapters.{name}.{step}.{kind}"
    place, matrix = key.rsplit(".", 1)
    return f"{place}.loras.{name}.{matrix}"


def bottleneck_config(method: Method, encoder: Encoder) -> dict[str, Any]:
    """The library's configuration of a bottleneck; FormatError for another method."""
    if not isinstance(method, Bottleneck):
        raise FormatError(f"a {type(method).__name__} is no adapter that adapters 1.3.0 has files for")
    return {
        **_BOTTLENECK,
        **_BOTTLENECK_REST,
        **_PLACEMENTS[method.placement],
        "dropout": method.dropout,
        "inv_adapter": method.invertible,
        "inv_adapter_reduction_factor": invertible.REDUCTION if method.invertible else None,
        "init_weights": "mam_adapter" if method.placement == "parallel" else "bert",
        "leave_out": _left_out(method, encoder),
        "non_linearity": method.activation,
        "reduction_factor": _reduction_factor(bottleneck.width(method, encoder.shape.hidden), method, encoder),
        "scaling": method.scaling,
    }


def _reduction_factor(width: int, method: Bottleneck, encoder: Encoder) -> float | int:
    """A factor from which the library works out the same width: floor(hidden / factor), at least 1."""
    hidden, factor = encoder.shape.hidden, method.reduction_factor
    if max(1, int(hidden // factor)) != width:
        factor = hidden / width
        while int(hidden // factor) < width:
            factor = math.nextafter(factor, 0.0)
    return _number(factor)


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _left_out(method: Method, encoder: Encoder) -> list[int]:
    adapted = adapted_layers(method.layers, encoder.shape.layers)
    return [layer for layer in range(encoder.shape.layers) if layer not in adapted]


def _lora_config(method: Lora, encoder: Encoder) -> dict[str, Any]:
    if "attention_output" in method.target_modules:
        raise FormatError(
            "adapters 1.3.0 has no LoRA on attention_output: export this adapter with --format peft, which has"
        )
    attention = [_ATTENTION[module] for module in _ATTENTION if module in method.target_modules]
    return {
        **_LORA,
        **_LORA_REST,
        "alpha": _number(method.alpha),
        "attn_matrices": attention,
        "dropout": method.dropout,
        "intermediate_lora": "intermediate" in method.target_modules,
        "leave_out": _left_out(method, encoder),
        "output_lora": "output" in method.target_modules,
        "r": method.rank,
        "selfattn_lora": bool(attention),
    }


def read(directory: Path, encoder: Encoder) -> PortableAdapter:
    """Read an adapter for this encoder, with its head if there is one. FormatError for whatever does not fit it."""
    path = directory / CONFIG
    whole = read_config(path)
    name = check_model(path, whole, encoder)
    config = whole.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"{path}: config is {shown(config)}; save the adapter again with adapters 1.0 or later")
    method = _lora(path, config, encoder) if config.get("architecture") == "lora" else _method(path, config, encoder)
    weights = directory / HUB_WEIGHTS
    prefix = _PREFIX if any(key.startswith(_PREFIX) for key in tensor_shapes(weights)) else ""
    in_file = {f"{prefix}{name_in_file(p.name, name)}": p for p in expected(method, encoder.shape)}
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


def _method(path: Path, config: Mapping[str, Any], encoder: Encoder) -> Bottleneck:
    if config.get("architecture") is not None:
        raise FormatError(
            f"{path}: adapters of kind {shown(config['architecture'])} cannot be read; bottlenecks and LoRA can"
        )
    _check_known(path, config, _BOTTLENECK, _BOTTLENECK_REST, "bottleneck")
    flags = {key: config.get(key, _CHECKED_DEFAULTS.get(key)) for key in _PLACEMENTS["sequential"]}
    placement = next((name for name, wanted in _PLACEMENTS.items() if wanted == flags), None)
    if placement is None:
        raise FormatError(
            f"{path}: {shown(flags, 200)} is none of seq_bn, double_seq_bn and par_bn, which adapterx reads"
        )
    activation = config.get("non_linearity")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise FormatError(f"{path}: non_linearity {shown(activation)} is not supported; {', '.join(_ACTIVATIONS)} are")
    return Bottleneck(
        placement=placement,
        reduction_factor=_positive(path, config, "reduction_factor", None, least=_SMALLEST_FACTOR),
        activation=_ACTIVATIONS[activation],
        scaling=_positive(path, config, "scaling", 1.0),
        dropout=_dropout(path, config),
        layers=_layers(path, config, encoder),
        invertible=_invertible(path, config),
    )


def _invertible(path: Path, config: Mapping[str, Any]) -> Literal["nice"] | None:
    kind, factor = config.get("inv_adapter"), config.get("inv_adapter_reduction_factor")
    if kind is None:
        return None
    if kind != "nice" or factor != invertible.REDUCTION:
        raise FormatError(
            f"{path}: the invertible adapter is {shown(kind)} with a reduction factor of {shown(factor)}; adapterx "
            f"reads 'nice' with {invertible.REDUCTION}"
        )
    return "nice"


def _check_known(
    path: Path, config: Mapping[str, Any], fixed: Mapping[str, Any], rest: Mapping[str, Any], kind: str
) -> None:
    """What changes the result must be as adapterx computes it, and what is not known must be off."""
    read = {
        "inv_adapter",
        "inv_adapter_reduction_factor",
        "non_linearity",
        "reduction_factor",
        "scaling",
        "dropout",
        "leave_out",
        "init_weights",
        "alpha",
        "r",
    }
    read |= {"attn_matrices", "intermediate_lora", "output_lora", "selfattn_lora", *_PLACEMENTS["sequential"], *rest}
    for key, value in config.items():
        if key in fixed:
            if value != fixed[key]:
                raise FormatError(
                    f"{path}: {key}: {shown(value)} is not supported; adapterx reads plain {kind} adapters"
                )
        elif key not in read and value not in (None, False, {}, [], ""):
            raise FormatError(
                f"{path}: the setting {plain(key)} ({shown(value)}) is not known, and may change what is computed"
            )


def _positive(
    path: Path, config: Mapping[str, Any], key: str, default: float | None, *, least: float = 1 / LARGEST
) -> float:
    if isinstance(config.get(key), str | dict | list):
        raise FormatError(
            f"{path}: {key} {shown(config[key])} is not supported; adapterx reads one positive number for all layers"
        )
    return number(path, config, key, default, least=least)


def _dropout(path: Path, config: Mapping[str, Any]) -> float:
    return number(path, config, "dropout", 0.0, least=0.0, most=1.0)


def _layers(path: Path, config: Mapping[str, Any], encoder: Encoder) -> tuple[int, ...] | None:
    left_out = config.get("leave_out") or []
    depth = encoder.shape.layers
    if not isinstance(left_out, list) or not all(type(layer) is int and 0 <= layer < depth for layer in left_out):
        raise FormatError(f"{path}: leave_out {shown(left_out)} does not fit an encoder of {depth} layers")
    if not left_out:
        return None
    kept = tuple(layer for layer in range(depth) if layer not in left_out)
    if not kept:
        raise FormatError(f"{path}: leave_out names every layer, so there is no adapter")
    return kept


def _lora(path: Path, config: Mapping[str, Any], encoder: Encoder) -> Lora:
    _check_known(path, config, _LORA, _LORA_REST, "LoRA")
    rank = whole(path, config, "r")
    given = config.get("attn_matrices") or []
    matrices = given if flag(path, config, "selfattn_lora", default=True) else []
    if not isinstance(given, list) or not all(matrix in _ATTENTION.values() for matrix in matrices):
        raise FormatError(f"{path}: attn_matrices {shown(given)} is not supported; a list of q, k and v is")
    modules: list[Any] = [module for module, letter in _ATTENTION.items() if letter in matrices]
    modules += [one for one in ("intermediate", "output") if flag(path, config, f"{one}_lora", default=False)]
    if not modules:
        raise FormatError(f"{path}: no linear layer of the encoder is adapted")
    alpha = _positive(path, config, "alpha", None)
    return Lora(rank, alpha, _dropout(path, config), tuple(sorted(modules)), _layers(path, config, encoder))
