"""adapter.safetensors: what a training has trained, its adapter under the encoder's module names and its heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

NAME = "adapter.safetensors"
_HEADS = "head."
"""How the names of heads' tensors begin: `head.TASK.NAME`."""


@dataclass(frozen=True, eq=False)
class TrainedTensors:
    """The tensors of one training; those of a frozen adapter below it stand in the file of the stage that made it."""

    adapter: Mapping[str, Tensor]
    """Of `full`, the encoder's own, embeddings included."""
    heads: Mapping[str, Tensor]
    """By their names in the file."""

    def head(self, task: str) -> dict[str, Tensor]:
        """The tensors of the head that was trained on a task, by their names in the head."""
        prefix = f"{_HEADS}{task}."
        return {name.removeprefix(prefix): one for name, one in self.heads.items() if name.startswith(prefix)}


def write(path: Path, trained: TrainedTensors) -> None:
    """Write the tensors, sorted by name."""
    from safetensors.torch import save_file

    tensors = sorted({**trained.adapter, **trained.heads}.items())
    save_file({name: tensor.contiguous() for name, tensor in tensors}, path, metadata={"format": "pt"})


def read(path: Path) -> TrainedTensors:
    """The tensors of a file, on the CPU."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    heads = {name: tensor for name, tensor in tensors.items() if name.startswith(_HEADS)}
    return TrainedTensors({name: tensor for name, tensor in tensors.items() if name not in heads}, heads)
