"""Everything a training carries from step to step, and its checkpoint file.

Batches, rates and dropout masks follow from the step number, so this is all there is to resume from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapterx.engine.cell import TrainingCell
from adapterx.methods.method import parameters
from adapterx.methods.parameters import Parameter, flatten, initial
from adapterx.methods.shape import Shape
from adapterx.store.atomic import write_stream

MOMENTS = ("values", "first", "second")


@dataclass
class Rows:
    """The flat parameters of one cell with their AdamW moments, (P,) each."""

    values: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def fresh(cls, values: Tensor) -> Rows:
        return cls(values, torch.zeros_like(values), torch.zeros_like(values))


@dataclass(frozen=True)
class Best:
    """The parameters that did best on the dev set so far."""

    step: int
    score: float
    adapter: Tensor
    head: Tensor


@dataclass
class CellState:
    """One cell after `step` steps."""

    adapter: Rows
    head: Rows
    step: int = 0
    examples: int = 0
    tokens: int = 0
    losses: list[tuple[float, float]] = field(default_factory=list)
    """Loss and learning rate of every step."""
    looks: list[tuple[int, float]] = field(default_factory=list)
    """Step and dev score of every look at the dev set."""
    best: Best | None = None

    @property
    def trained_parameters(self) -> int:
        """Of the adapter and the heads."""
        return self.adapter.values.numel() + self.head.values.numel()

    @classmethod
    def start(cls, cell: TrainingCell, shape: Shape) -> CellState:
        """The state before the first step."""
        adapter = parameters(cell.method, shape)
        tensors = initial(adapter, cell.seed) if cell.initial is None else cell.initial
        heads = head_parameters(cell, shape)
        return cls(
            adapter=Rows.fresh(flatten(adapter, tensors)),
            head=Rows.fresh(flatten(heads, initial(heads, cell.seed))),
        )

    def save(self, path: Path) -> None:
        """Write the checkpoint file, whole or not at all."""
        from safetensors.torch import save_file

        tensors = {f"{part}.{name}": getattr(getattr(self, part), name) for part in _PARTS for name in MOMENTS}
        counts: dict[str, Any] = {
            name: getattr(self, name) for name in ("step", "examples", "tokens", "losses", "looks")
        }
        if self.best is not None:
            tensors |= {"best.adapter": self.best.adapter, "best.head": self.best.head}
            counts |= {"best_step": self.best.step, "best_score": self.best.score}
        write_stream(path, lambda temporary: save_file(tensors, temporary, metadata={"state": json.dumps(counts)}))

    @classmethod
    def load(cls, path: Path) -> CellState:
        """Read a checkpoint file. Raises OSError, ValueError or KeyError when it is not one."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
                counts = json.loads(file.metadata()["state"])
        except SafetensorError as error:
            raise ValueError(f"{path} is not a checkpoint: {error}") from error
        best = None
        if "best_step" in counts:
            best = Best(counts["best_step"], counts["best_score"], tensors["best.adapter"], tensors["best.head"])
        return cls(
            adapter=_rows(tensors, "adapter"),
            head=_rows(tensors, "head"),
            step=counts["step"],
            examples=counts["examples"],
            tokens=counts["tokens"],
            losses=[(loss, rate) for loss, rate in counts["losses"]],
            looks=[(step, score) for step, score in counts["looks"]],
            best=best,
        )


_PARTS = ("adapter", "head")


def _rows(tensors: Mapping[str, Tensor], part: str) -> Rows:
    return Rows(*(tensors[f"{part}.{name}"] for name in MOMENTS))


def head_parameters(cell: TrainingCell, shape: Shape) -> list[Parameter]:
    """The tensors of all heads of a cell."""
    return [parameter for task in cell.tasks for parameter in task.head.parameters(shape.hidden)]
