"""Batches of which no example's loss stands alone, in parts: gradients as of the whole batch, in the memory of a part.

Gradient caching (Gao et al. 2021, arXiv 2101.06983): the vectors of all parts are computed without a graph; the loss of
the whole batch gives the gradient of every vector; then each part is computed once more, with a graph, and passes its
vectors' gradients on. Dropout masks follow from seed, step and row, so the second time is as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adapterx.engine.batches import Batch, HeadRows
from adapterx.engine.cell import TrainingCell

Place = tuple[int, int]
"""A cell of a bundle, and one of its heads."""


@dataclass(frozen=True)
class CoupledLosses:
    """What a part of a batch is told of the coupled losses of the whole."""

    gradients: dict[Place, Tensor]
    """(s, d) of the part's vectors."""
    losses: dict[Place, Tensor]
    """Of the whole batch: in the first part alone, so that the losses of all parts add up to it."""

    def loss(self, place: Place, vectors: Tensor) -> Tensor:
        """A loss whose gradient is the part's, and whose value its share of the batch's."""
        passes = (vectors * self.gradients[place]).sum()
        return passes - passes.detach() + self.losses.get(place, torch.zeros_like(passes))


def are(cells: Sequence[TrainingCell]) -> bool:
    """Whether examples of some task of the cells are coupled."""
    return any(task.head.kind.coupled for cell in cells for task in cell.tasks)


def vectors(cells: Sequence[TrainingCell], batch: Batch, hidden: Tensor) -> dict[Place, Tensor]:
    """The (s, d) vectors of each coupled head, of the (R, d) rows that a part of a batch reads."""
    found = {}
    for place, every in enumerate(batch.cells):
        for rows in every:
            head = cells[place].tasks[rows.head].head
            if head.kind.coupled:
                found[place, rows.head] = head.vectors(hidden[rows.start : rows.stop], rows)
    return found


def given(
    cells: Sequence[TrainingCell], batches: Sequence[Batch], parts: Sequence[dict[Place, Tensor]]
) -> list[CoupledLosses]:
    """What each part is told.

    Args:
        batches: the parts of a batch, on the device.
        parts: the vectors of each.
    """
    told = [CoupledLosses({}, {}) for _ in batches]
    for place in dict.fromkeys(key for part in parts for key in part):
        holding = [number for number, part in enumerate(parts) if place in part]
        leaves = [parts[number][place].detach().requires_grad_() for number in holding]
        rows = [_rows(batches[number], place) for number in holding]
        head = cells[place[0]].tasks[place[1]].head
        loss = head.joint(torch.cat(leaves), _whole(rows))
        gradients = torch.autograd.grad(loss, leaves)
        for number, gradient in zip(holding, gradients, strict=True):
            told[number].gradients[place] = gradient
        told[holding[0]].losses[place] = loss.detach()
    return told


def _rows(batch: Batch, place: Place) -> HeadRows:
    cell, head = place
    return next(rows for rows in batch.cells[cell] if rows.head == head)


def _whole(parts: Sequence[HeadRows]) -> HeadRows:
    """What the parts of a batch say of their rows, as one."""
    names = ("reads", "labels", "weights", "windows")
    joined = [torch.cat([getattr(part, name) for part in parts]) for name in names]
    return HeadRows(parts[0].head, 0, 0, *joined)
