"""The encoder of a checkpoint, made tensor by tensor: each is read, checked, put in the number format asked for and on
the device it is for before the next one is, so that no second copy of a model is ever in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import (
    PretrainedConfig,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaXLConfig,
    XLMRobertaXLModel,
)

from adapterx.allocator import hand_back, large_apart
from adapterx.backbones.checkpoint import CONFIG
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.precisions.base import Precision
from adapterx.faults import is_out_of_memory
from adapterx.wording import plain

CLASSES: dict[str, tuple[type[Any], type[Any]]] = {
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
    "xlm-roberta-xl": (XLMRobertaXLConfig, XLMRobertaXLModel),
}
"""Configuration and encoder of each known architecture."""
_ENCODER = re.compile(r"(?:roberta\.)?((?:embeddings|encoder)\..+)")


def assemble(
    files: list[Path], config: PretrainedConfig, precision: Precision, device: torch.device | str, name: str
) -> nn.Module:
    """The frozen encoder, without pooler, in evaluation mode. Raises BackboneError for weights that are no good.

    Args:
        files: safetensors whose headers `sizes.check_weights` accepts.
        name: whose they are, for messages.
    """
    _, model_class = CLASSES[config.model_type]
    try:
        with init_empty_weights(include_buffers=False):
            model: nn.Module = model_class(config, add_pooling_layer=False)
        with large_apart(), ExitStack() as stack:
            _fill(model, dict(_readers(files, stack)), precision, torch.device(device), name)
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"the weights of {name} cannot be read: {error}") from error
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise BackboneError(f"the weights of {name} do not fit its {CONFIG}: {plain(str(error), 300)}") from error
    return model.to(device).eval().requires_grad_(False)


def _readers(files: list[Path], stack: ExitStack) -> Iterator[tuple[str, Any]]:
    """(Name within the encoder, what reads the tensor) of each of its tensors; heads stay unread."""
    for path in files:
        file = stack.enter_context(safe_open(path, framework="pt"))
        for key in file.keys():  # noqa: SIM118  the file is no mapping
            if match := _ENCODER.fullmatch(key):
                yield match[1], partial(file.get_tensor, key)


def _fill(model: nn.Module, readers: Mapping[str, Any], precision: Precision, device: torch.device, name: str) -> None:
    number, stored = getattr(torch, precision.rest), precision.layer()

    def tensor(key: str) -> Tensor:
        if key not in readers:
            raise BackboneError(f"{name} lacks the encoder's {key}")
        found: Tensor = readers[key]()
        if not _finite(found):
            raise BackboneError(f"the weights of {name} hold numbers that are not finite: {key} for one")
        return found.to(device)

    linear = {path for path, module in model.named_modules() if isinstance(module, nn.Linear)} if stored else set()
    for key in [key for key, _ in model.named_parameters()]:
        path, _, attribute = key.rpartition(".")
        if path not in linear or stored is None:
            setattr(model.get_submodule(path), attribute, nn.Parameter(tensor(key).to(number), requires_grad=False))
        elif attribute == "weight":
            parent, _, own = path.rpartition(".")
            layer = stored(tensor(key).float(), tensor(f"{path}.bias").to(number))
            setattr(model.get_submodule(parent), own, layer)
            hand_back()  # a library's quantising may leave as much behind as it makes


def _finite(tensor: Tensor) -> bool:
    """Whether every number is. Extremes tell, as what is not a number is passed on by both."""
    low, high = torch.aminmax(tensor)
    return bool(low.isfinite() & high.isfinite())
