"""The heads of a bundle's cells, and their losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from adapterx.backbones.forward_pass import Adapters
from adapterx.engine.batches import AlignedRows, Batch
from adapterx.engine.cell import TrainingCell
from adapterx.engine.coupled import CoupledLosses
from adapterx.engine.optimiser import RowAdamW


@dataclass(frozen=True)
class HeadGroup:
    """Cells whose heads are alike, with their parameters side by side."""

    members: tuple[int, ...]
    """Places of the cells in the bundle."""
    index: Tensor
    """The same on the device."""
    optimiser: RowAdamW


def groups(cells: Sequence[TrainingCell]) -> list[tuple[int, ...]]:
    """Places of the cells with the same heads, group by group."""
    found: dict[object, list[int]] = {}
    for place, cell in enumerate(cells):
        found.setdefault(tuple(task.head for task in cell.tasks), []).append(place)
    return [tuple(places) for places in found.values()]


def fit(cells: Sequence[TrainingCell], heads: Sequence[HeadGroup], aligned: AlignedRows | None) -> bool:
    """Whether `losses` can serve the cells of each group together: each with one task, all with as many choices.

    Heads of some kinds go one by one (`TaskKind.alone`): the scores of one cell's rows over a whole vocabulary are
    plenty, and windows of extractive QA differ in their rows.
    """
    return aligned is None or (
        not any(task.head.kind.alone for cell in cells for task in cell.tasks)
        and all(len(cell.tasks) == 1 for cell in cells)
        and all(len({aligned.choices[place] for place in group.members} - {0}) <= 1 for group in heads)
    )


def losses(
    cells: Sequence[TrainingCell],
    heads: Sequence[HeadGroup],
    batch: Batch,
    hidden: Tensor,
    adapters: Adapters,
    embeddings: Tensor,
    given: CoupledLosses | None = None,
) -> Tensor:
    """(K,) losses of the cells from the (R, d) float32 rows that they read. What is aligned must `fit`.

    Args:
        adapters: of the cells; a masked-LM head undoes what they do to embeddings.
        embeddings: (V, d) of the tokens.
        given: what a part of a batch is told of losses that rest on the whole of it.
    """
    if batch.aligned is not None:
        return _together(cells, heads, batch.aligned, hidden)
    found: dict[int, Tensor] = {}
    for group in heads:
        views = group.optimiser.bank.views
        for row, place in enumerate(group.members):
            tensors = {name: view[row] for name, view in views.items()}
            loss = hidden.new_zeros(())
            for rows in batch.cells[place]:
                head, own = cells[place].tasks[rows.head].head, hidden[rows.start : rows.stop]
                counts = tuple(len(own) if cell == place else 0 for cell in range(len(cells)))
                unembed = partial(adapters.unembedding, rows=counts)
                if given is not None and head.kind.coupled:
                    loss = loss + given.loss((place, rows.head), head.vectors(own, rows))
                else:
                    loss = loss + head.total(tensors, own, rows, unembed, embeddings)
            found[place] = loss
    return torch.stack([found[place] for place in range(len(cells))])


def _together(
    cells: Sequence[TrainingCell], heads: Sequence[HeadGroup], aligned: AlignedRows, hidden: Tensor
) -> Tensor:
    """The same for padded cells, group by group."""
    if aligned.gather is None:
        rows = hidden.view(len(cells), len(hidden) // len(cells), -1)
    else:
        rows = hidden.index_select(0, aligned.gather.flatten()).view(*aligned.gather.shape, -1)
    found = []
    for group in heads:
        (task,) = cells[group.members[0]].tasks
        choices = max(1, *(aligned.choices[place] for place in group.members))
        own, labels, weights = (_of(group, tensor) for tensor in (rows, aligned.labels, aligned.weights))
        found.append(task.head.losses(group.optimiser.bank.views, own, labels, weights, choices))
    order = [place for group in heads for place in group.members]
    joint = torch.cat(found)
    return joint if len(heads) == 1 else torch.stack([joint[order.index(place)] for place in range(len(cells))])


def _of(group: HeadGroup, tensor: Tensor) -> Tensor:
    """What a (K, …) tensor of all cells has for those of a group."""
    return tensor if len(group.members) == len(tensor) else torch.stack([tensor[place] for place in group.members])
