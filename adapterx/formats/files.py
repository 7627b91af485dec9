"""The files of an adapter directory: their names, and reading and writing them whole."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from adapterx.formats.errors import FormatError
from adapterx.store.atomic import write_stream

CONFIG = "adapter_config.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
HUB_WEIGHTS = "adapter.safetensors"
HEAD_CONFIG = "head_config.json"
HUB_HEAD = "model_head.safetensors"
OWN_HEAD = "head.safetensors"
"""Beside a `peft` adapter, which has no place for a head on a bare encoder."""
METADATA = "adapterx.json"
SETUP = "adapter_setup.json"
FUSION_CONFIG = "adapter_fusion_config.json"
FUSION_WEIGHTS = "model_adapter_fusion.safetensors"

NAMES = (METADATA, CONFIG, HEAD_CONFIG, OWN_HEAD, HUB_HEAD, PEFT_WEIGHTS, HUB_WEIGHTS)
"""Every file that is ever read, the adapter's weights last."""
_SHOWN = 3


def check_names(names: Collection[str], where: str) -> None:
    """Raise FormatError unless these file names make an adapter directory with safetensors."""
    pickled = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
    if CONFIG not in names:
        raise FormatError(f"{where} has no {CONFIG}, so it is not an adapter of peft or AdapterHub")
    if PEFT_WEIGHTS not in names and HUB_WEIGHTS not in names:
        if pickled:
            raise FormatError(
                f"{where} has only {pickled[0]}; pickled weights are never loaded, because they can run code: save the "
                "adapter again as safetensors (adapters: save_adapter(…, use_safetensors=True); peft: save_pretrained)"
            )
        raise FormatError(f"{where} has neither {PEFT_WEIGHTS} nor {HUB_WEIGHTS}: the adapter's weights are missing")


def check_empty(directory: Path) -> None:
    """Raise FormatError where writing would change what is there."""
    if directory.exists() and not directory.is_dir():
        raise FormatError(f"{directory} is a file; name a new directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise FormatError(f"{directory} is not empty, and nothing is ever overwritten: name a new directory")


def write_config(path: Path, content: Mapping[str, Any]) -> None:
    """JSON with sorted keys, as both libraries write it; labels stay in the order of their numbers.

    AdapterHub's `get_labels` takes the order in which they stand for that of the outputs.
    """
    path.write_text(json.dumps(_ordered(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _ordered(value) if isinstance(value, Mapping) and key != "label2id" else value
        for key, value in sorted(content.items())
    }


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object; FormatError names the file that is missing or is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: save the adapter again") from None
    except ValueError as error:
        raise FormatError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path} is not a JSON object")
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Safetensors, in the order of names."""
    ordered = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    # Not by itself: the library makes files that nobody but their owner may read.
    write_stream(path, lambda temporary: save_file(ordered, temporary, metadata={"format": "pt"}))


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]], what: str) -> dict[str, Tensor]:
    """The tensors of a file as float32: exactly those that are expected, in their shapes, or none at all.

    Args:
        shapes: expected shape by name in the file.
        what: whose tensors they are, for messages.

    Raises FormatError naming the file and what is missing, unexpected or misshapen.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  no mapping
            _check(path, found, shapes, what)
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in shapes}
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: save the adapter again") from None
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path} is not a whole safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise FormatError(f"{path}: {name} holds {tensor.dtype}, not floating-point numbers")
    return {name: tensor.to(torch.float32) for name, tensor in tensors.items()}


def tensor_names(path: Path) -> list[str]:
    """The names in a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: save the adapter again") from None
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path} is not a whole safetensors file: {error}") from error


def tensor_shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of a tensor that is in a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return tuple(file.get_slice(name).get_shape())


def _check(path: Path, found: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    advice = "check that the adapter was trained on this backbone, and save it again"
    if missing := [name for name in shapes if name not in found]:
        raise FormatError(f"{path} lacks {_list(missing)} of {what}; {advice}")
    if unexpected := [name for name in found if name not in shapes]:
        raise FormatError(f"{path} has {_list(unexpected)}, which {what} has no place for; {advice}")
    for name, shape in shapes.items():
        if found[name] != shape:
            raise FormatError(f"{path}: {name} is {found[name]}, but {what} needs {shape}; {advice}")


def _list(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
