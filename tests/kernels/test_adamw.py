"""Clipping and AdamW of all cells by kernels against the library's way, over steps, with cells that are not finite."""

from __future__ import annotations

import pytest
import torch

from adapterx.backbones.shape import Shape
from adapterx.engine.cell import TrainingCell
from adapterx.engine.optimiser import RowAdamW, Step
from adapterx.engine.state import CellState
from adapterx.engine.trained_rows import TrainedRows
from adapterx.kernels import choice
from adapterx.methods.bottleneck.spec import Bottleneck
from tests.cells import cell
from tests.kernels.compared import distance

SHAPE = Shape(2, 72, 288)


def rows(cells: list[TrainingCell]) -> TrainedRows:
    return TrainedRows(cells, [CellState.start(one, SHAPE) for one in cells], SHAPE, torch.device("cpu"))


@pytest.mark.parametrize("broken", [None, "loss", "gradient"])
def test_steps_of_cells_with_heads_of_two_kinds(broken: str | None) -> None:
    method = Bottleneck(reduction_factor=2.0)
    cells = [cell(method, 1), cell(method, 2, "tagging"), cell(method, 3, weight_decay=0.1), cell(method, 4, "tagging")]
    theirs, mine = rows(cells), rows(cells)
    assert len(mine.heads) == 2 and mine.adapter.bank.values.shape[1] > 4096
    generator = torch.Generator().manual_seed(0)
    for taken in range(3):
        step = Step((taken,) * 4, (1e-2, 1e-3, 1e-2, 0.0), (0.01, 0.0, 0.1, 0.0), (1.0, 1e9, 0.1, 1.0))
        losses = torch.ones(4)
        made = [torch.randn(one.bank.values.shape, generator=generator) for one in optimisers(mine)]
        if broken == "loss" and taken == 1:
            losses[1] = torch.nan
        if broken == "gradient" and taken == 1:
            made[0][1, 5] = torch.inf
        for own in (theirs, mine):
            for optimiser, gradient in zip(optimisers(own), made, strict=True):
                optimiser.bank.gradients.copy_(gradient)
        theirs.update_together(losses, step.table())
        with choice.emulated(["adamw"]):
            mine.update_together(losses, step.table())
            assert choice.runs("adamw", torch.device("cpu"))
    assert mine.alive.tolist() == theirs.alive.tolist() == [True, broken is None, True, True]
    for one, other in zip(optimisers(mine), optimisers(theirs), strict=True):
        assert one.bank.values.isfinite().all()
        for mine_, theirs_ in (
            (one.bank.values, other.bank.values),
            (one.first, other.first),
            (one.second, other.second),
        ):
            assert distance(mine_, theirs_) < 1e-5


def optimisers(rows: TrainedRows) -> list[RowAdamW]:
    return [rows.adapter, *(group.optimiser for group in rows.heads)]


def test_a_cell_that_is_dead_stays_dead() -> None:
    cells = [cell(Bottleneck(reduction_factor=2.0), seed) for seed in (1, 2)]
    own = rows(cells)
    own.alive[0] = False
    before = own.adapter.bank.values.clone()
    own.adapter.bank.gradients.fill_(1.0)
    with choice.emulated(["adamw"]):
        own.update_together(torch.ones(2), Step((0, 0), (0.1, 0.1), (0.0, 0.0), (1.0, 1.0)).table())
    assert own.alive.tolist() == [False, True]
    assert torch.equal(own.adapter.bank.values[0], before[0]) and not torch.equal(own.adapter.bank.values[1], before[1])
