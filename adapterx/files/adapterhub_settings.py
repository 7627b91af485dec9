"""Settings of AdapterHub's `adapters` 1.3.0 that its methods share, as strangers write them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from adapterx.backbones.shape import Encoder
from adapterx.files.errors import FormatError, LibraryAloneError
from adapterx.files.settings import LARGEST, number
from adapterx.wording import plain, shown

READ = {
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
    "attn_matrices",
    "intermediate_lora",
    "output_lora",
    "selfattn_lora",
    "mh_adapter",
    "is_parallel",
    "original_ln_before",
}
"""What is read of bottlenecks and LoRA, by either; the other's settings mean nothing."""


def check_known(
    path: Path, config: Mapping[str, Any], fixed: Mapping[str, Any], rest: Collection[str], kind: str
) -> None:
    """Refuse what changes the result from what adapterx computes, and what is not known and not off.

    Args:
        fixed: settings with the values that they must have, for adapterx to compute them itself.
        rest: settings that mean nothing for stored weights.
        kind: what messages call the adapters.

    Raises LibraryAloneError where other values of `fixed` are all that is wrong, and FormatError.
    """
    for key, value in config.items():
        if key not in fixed and key not in READ and key not in rest and value not in (None, False, {}, [], ""):
            raise FormatError(
                f"{path}: the setting {plain(key)} ({shown(value)}) is not known, and may change what is computed"
            )
    if other := next((key for key in fixed if key in config and config[key] != fixed[key]), None):
        raise LibraryAloneError(
            f"{path}: {other}: {shown(config[other])} is not supported; adapterx reads plain {kind} adapters"
        )


def positive(
    path: Path, config: Mapping[str, Any], key: str, default: float | None, *, least: float = 1 / LARGEST
) -> float:
    """A positive number, the same for all layers."""
    if isinstance(config.get(key), str | dict | list):
        raise FormatError(
            f"{path}: {key} {shown(config[key])} is not supported; adapterx reads one positive number for all layers"
        )
    return number(path, config, key, default, least=least)


def dropout(path: Path, config: Mapping[str, Any]) -> float:
    """The probability of dropout."""
    return number(path, config, "dropout", 0.0, least=0.0, most=1.0)


def kept_layers(path: Path, config: Mapping[str, Any], encoder: Encoder) -> tuple[int, ...] | str:
    """The layers that carry adapters, or `all`."""
    left_out = config.get("leave_out") or []
    depth = encoder.shape.layers
    if not isinstance(left_out, list) or not all(type(layer) is int and 0 <= layer < depth for layer in left_out):
        raise FormatError(f"{path}: leave_out {shown(left_out)} does not fit an encoder of {depth} layers")
    if not left_out:
        return "all"
    kept = tuple(layer for layer in range(depth) if layer not in left_out)
    if not kept:
        raise FormatError(f"{path}: leave_out names every layer, so there is no adapter")
    return kept


def left_out(layers: Collection[int], encoder: Encoder) -> list[int]:
    """The layers that carry no adapters."""
    return [layer for layer in range(encoder.shape.layers) if layer not in layers]
