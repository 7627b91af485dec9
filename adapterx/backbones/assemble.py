"""The encoder of a checkpoint, made tensor by tensor: each is read, checked, put in the number format asked for and on
the device it is for before the next one is, so that no second copy of a model is ever in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import init_empty_weights
from numpy.typing import NDArray
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
from adapterx.backbones.token_rows import TokenRows
from adapterx.faults import is_out_of_memory
from adapterx.wording import plain

CLASSES: dict[str, tuple[type[Any], type[Any]]] = {
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
    "xlm-roberta-xl": (XLMRobertaXLConfig, XLMRobertaXLModel),
}
"""Configuration and encoder of each known architecture."""
_ENCODER = re.compile(r"(?:roberta\.)?((?:embeddings|encoder)\..+)")
_TOKENS = "embeddings.word_embeddings"
_ROWS = 1024
"""Rows of a table that are in the checkpoint's number format at once."""


def assemble(
    files: list[Path],
    config: PretrainedConfig,
    precision: Precision,
    device: torch.device | str,
    name: str,
    tokens: NDArray[np.int64] | None = None,
) -> nn.Module:
    """The frozen encoder, without pooler, in evaluation mode. Raises BackboneError for weights that are no good.

    Args:
        files: safetensors whose headers `sizes.check_weights` accepts.
        name: whose they are, for messages.
        tokens: ids, rising, of those whose embeddings are read; all where None.
    """
    _, model_class = CLASSES[config.model_type]
    try:
        with init_empty_weights(include_buffers=False):
            model: nn.Module = model_class(config, add_pooling_layer=False)
        with large_apart(), ExitStack() as stack:
            filler = _Filler(dict(_stored(files, stack)), precision, torch.device(device), name)
            if tokens is not None:
                filler.fill_rows(model, tokens)
            filler.fill(model)
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"the weights of {name} cannot be read: {error}") from error
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise BackboneError(f"the weights of {name} do not fit its {CONFIG}: {plain(str(error), 300)}") from error
    return model.to(device).eval().requires_grad_(False)


@dataclass(frozen=True)
class _FileTensor:
    """A tensor in a safetensors file, which is mapped: nothing is in memory before it is asked for."""

    path: Path
    key: str
    file: Any

    def whole(self) -> Tensor:
        return self.file.get_tensor(self.key)  # type: ignore[no-any-return]

    def rows(self, places: NDArray[np.int64]) -> Tensor:
        """Those of a table at the places given."""
        # Mapped by itself: tensors in the checkpoint's own format keep its map, and with it every page that was read.
        with safe_open(self.path, framework="pt") as file:
            return file.get_slice(self.key)[places.tolist()]  # type: ignore[no-any-return]


def _stored(files: list[Path], stack: ExitStack) -> Iterator[tuple[str, _FileTensor]]:
    """(Name within the encoder, where it is) of each of its tensors; heads stay unread."""
    for path in files:
        file = stack.enter_context(safe_open(path, framework="pt"))
        for key in file.keys():  # noqa: SIM118  the file is no mapping
            if match := _ENCODER.fullmatch(key):
                yield match[1], _FileTensor(path, key, file)


class _Filler:
    """Fills an empty model; arguments as of `assemble`."""

    def __init__(
        self, stored: Mapping[str, _FileTensor], precision: Precision, device: torch.device, name: str
    ) -> None:
        self._stored, self._device, self._name = stored, device, name
        self._number, self._layer = getattr(torch, precision.rest), precision.layer()

    def fill_rows(self, model: nn.Module, tokens: NDArray[np.int64]) -> None:
        """Put the embeddings of some tokens in the place of those of all."""
        embeddings: Any = model.get_submodule(_TOKENS)
        vocabulary, width = embeddings.weight.shape
        rows = torch.empty(len(tokens), width, dtype=self._number, device=self._device)
        key = f"{_TOKENS}.weight"
        found = self._find(key)
        for start in range(0, len(tokens), _ROWS):
            part = tokens[start : start + _ROWS]
            rows[start : start + len(part)] = self._checked(found.rows(part), key).to(self._number)
            hand_back()  # the library reads row by row, and leaves small blocks behind
        model.set_submodule(_TOKENS, TokenRows(torch.from_numpy(tokens), rows, vocabulary))

    def fill(self, model: nn.Module) -> None:
        """Fill everything that is still empty."""
        linear = {path for path, module in model.named_modules() if isinstance(module, nn.Linear)}
        stored = self._layer
        for key in [key for key, parameter in model.named_parameters() if parameter.is_meta]:
            path, _, attribute = key.rpartition(".")
            if stored is None or path not in linear:
                rest = nn.Parameter(self._tensor(key).to(self._number), requires_grad=False)
                setattr(model.get_submodule(path), attribute, rest)
            elif attribute == "weight":
                layer = stored(self._tensor(key).float(), self._tensor(f"{path}.bias").to(self._number))
                model.set_submodule(path, layer)
                hand_back()  # a library's quantising may leave as much behind as it makes

    def _tensor(self, key: str) -> Tensor:
        return self._checked(self._find(key).whole(), key)

    def _find(self, key: str) -> _FileTensor:
        if key not in self._stored:
            raise BackboneError(f"{self._name} lacks the encoder's {key}")
        return self._stored[key]

    def _checked(self, found: Tensor, key: str) -> Tensor:
        """A tensor of the checkpoint, on the device."""
        if not _finite(found):
            raise BackboneError(f"the weights of {self._name} hold numbers that are not finite: {key} for one")
        return found.to(self._device)


def _finite(tensor: Tensor) -> bool:
    """Whether every number is. Extremes tell, as what is not a number is passed on by both."""
    low, high = torch.aminmax(tensor)
    return bool(low.isfinite() & high.isfinite())
