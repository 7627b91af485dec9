"""Everything a training carries from step to step.

Batches, rates and dropout masks follow from the step number, so this is all there is to resume from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.engine.cell import TrainingCell
from adapterx.methods.method import parameters
from adapterx.methods.parameters import Parameter, flatten, initial

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
    seconds: float = 0.0
    """The cell's share, by tokens, of the time its bundles took."""
    losses: list[tuple[float, float]] = field(default_factory=list)
    """Loss and learning rate of every step."""
    dev_scores: list[tuple[int, float]] = field(default_factory=list)
    """Step and score of every evaluation on the dev set."""
    rungs: list[tuple[int, float]] = field(default_factory=list)
    """Step and dev score of every comparison with other candidates (`halving`)."""
    best: Best | None = None

    @property
    def trained_parameters(self) -> int:
        """Of the adapter and the heads."""
        return self.adapter.values.numel() + self.head.values.numel()

    @classmethod
    def start(cls, cell: TrainingCell, shape: Shape) -> CellState:
        """The state before the first step."""
        adapter = parameters(cell.method, shape)
        # A new adapter above a frozen one of the same seed must not start as that one did.
        tensors = initial(adapter, cell.seed, len(cell.lower)) if cell.initial is None else cell.initial
        heads = head_parameters(cell, shape)
        given = {name: tensor for task in cell.tasks for name, tensor in task.initial.items()}
        return cls(
            adapter=Rows.fresh(flatten(adapter, tensors)),
            head=Rows.fresh(flatten(heads, {**initial(heads, cell.seed), **given})),
        )


def head_parameters(cell: TrainingCell, shape: Shape) -> list[Parameter]:
    """The tensors of all heads of a cell."""
    return [parameter for task in cell.tasks for parameter in task.head.parameters(shape.hidden)]
