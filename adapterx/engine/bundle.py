"""A bundle: cells of one structure that take their steps together, in one pass over the frozen encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Batch, Selection, collate
from adapterx.engine.cell import TrainingCell
from adapterx.engine.optimiser import RowAdamW
from adapterx.engine.predict import TrainedCell
from adapterx.engine.state import MOMENTS, CellState, Rows, head_parameters
from adapterx.methods.method import adapters, parameters
from adapterx.methods.parameters import Parameter, ParameterBank, unflatten
from adapterx.methods.rows import CellDropout
from adapterx.methods.shape import Shape


def shape_of(encoder: PackedEncoder) -> Shape:
    """The widths of a loaded backbone."""
    return Shape(len(encoder.layers), encoder.hidden, int(encoder.config.intermediate_size))


class Bundle:
    """K cells over one encoder. Rebuilt from their states whenever a cell joins or leaves.

    Args:
        encoder: the frozen backbone that all of them share.
        cells: one method and one number of slots among all; data, tasks, rates, seeds and lengths are their own.
        states: where each of them stands. The bundle copies the numbers, and `state` gives them back.
    """

    def __init__(self, encoder: PackedEncoder, cells: Sequence[TrainingCell], states: Sequence[CellState]) -> None:
        self.encoder = encoder
        self.cells = tuple(cells)
        self.states = tuple(states)
        shape, device = shape_of(encoder), encoder.device
        method = cells[0].method
        self.adapter_parameters = parameters(method, shape)
        self.adapter = _optimiser(self.adapter_parameters, [state.adapter for state in states], device)
        self.head_parameters = [head_parameters(cell, shape) for cell in cells]
        self.heads = [
            _optimiser(names, [state.head], device) for names, state in zip(self.head_parameters, states, strict=True)
        ]
        slots = [self.adapter.bank.views]
        if cells[0].lower is not None:
            slots.insert(0, _stacked([cell.lower or {} for cell in cells], device))
        self.rows: tuple[int, ...] = ()
        """Token rows of each cell in the last step."""
        self.dropout = CellDropout(method.dropout, [cell.seed for cell in cells])
        self.adapters = adapters(method, slots, self.dropout)

    def step(self) -> list[float]:
        """Take the next step of every cell; returns their losses.

        A cell whose loss or gradient is not finite keeps its weights and does not advance: its loss is NaN.
        """
        batch = self._batch()
        self.rows = batch.packed.rows
        self.dropout.begin([state.step for state in self.states])
        hidden = self.encoder(batch.packed, self.adapters).float()
        losses = [self._loss(cell, batch, hidden) for cell in range(len(self.cells))]
        self._differentiate(torch.stack(losses).sum())
        return [self._update(cell, float(loss.detach()), batch) for cell, loss in enumerate(losses)]

    def _differentiate(self, total: Tensor) -> None:
        banks = [optimiser.bank for optimiser in (self.adapter, *self.heads)]
        leaves = [leaf for bank in banks for leaf in bank.views.values()]
        gradients = list(torch.autograd.grad(total, leaves, allow_unused=True))
        for bank in banks:
            bank.take_gradients(gradients[: len(bank.views)])
            del gradients[: len(bank.views)]

    def _batch(self) -> Batch:
        selections = []
        for cell, state in zip(self.cells, self.states, strict=True):
            chosen: dict[int, list[int]] = {}
            for pool, example in cell.sampler.batch(state.step):
                chosen.setdefault(pool, []).append(example)
            pools = cell.pools
            selections.append([Selection(pools[p][0], pools[p][1].data, np.array(chosen[p])) for p in sorted(chosen)])
        return collate(selections, self.encoder.device)

    def _loss(self, cell: int, batch: Batch, hidden: Tensor) -> Tensor:
        """Mean over the cell's examples; each task's own mean weighs by its share of the batch."""
        groups = batch.cells[cell]
        total = sum(group.examples for group in groups)
        heads = {name: view[0] for name, view in self.heads[cell].bank.views.items()}
        losses = []
        for group in groups:
            head = self.cells[cell].tasks[group.head].head
            loss = head.loss(head.scores(heads, hidden[group.start : group.stop]), group.reads, group.labels)
            losses.append(loss * (group.examples / total))
        return torch.stack(losses).sum()

    def _update(self, cell: int, loss: float, batch: Batch) -> float:
        settings, state = self.cells[cell].settings, self.states[cell]
        gradients = [self.adapter.bank.gradients[cell], self.heads[cell].bank.gradients[0]]
        norm = math.sqrt(sum(float(gradient.square().sum(dtype=torch.float64)) for gradient in gradients))
        if not math.isfinite(loss) or not math.isfinite(norm):
            return math.nan
        if norm > settings.max_grad_norm:
            for gradient in gradients:
                gradient.mul_(settings.max_grad_norm / (norm + 1e-6))
        rate = self.cells[cell].learning_rate(state.step)
        self.adapter.step(cell, state.step, rate, settings.weight_decay)
        self.heads[cell].step(0, state.step, rate, settings.weight_decay)
        state.step += 1
        state.examples += sum(group.examples for group in batch.cells[cell])
        state.tokens += batch.packed.rows[cell]
        state.losses.append((loss, rate))
        return loss

    def state(self, cell: int) -> CellState:
        """The cell's state with its current numbers, copied to the CPU."""
        state = self.states[cell]
        state.adapter = _row(self.adapter, cell)
        state.head = _row(self.heads[cell], 0)
        return state

    def trained(self, cell: int) -> TrainedCell:
        """The cell as it stands, for predicting."""
        return as_trained(self.cells[cell], self.state(cell), shape_of(self.encoder))


def as_trained(cell: TrainingCell, state: CellState, shape: Shape, best: bool = False) -> TrainedCell:
    """Named tensors of a state, or of the best step it remembers."""
    adapter, head = state.adapter.values, state.head.values
    if best and state.best is not None:
        adapter, head = state.best.adapter, state.best.head
    slots = [unflatten(parameters(cell.method, shape), adapter)]
    if cell.lower is not None:
        slots.insert(0, dict(cell.lower))
    return TrainedCell(cell.method, tuple(slots), unflatten(head_parameters(cell, shape), head))


def _optimiser(names: Sequence[Parameter], rows: Sequence[Rows], device: torch.device) -> RowAdamW:
    values, first, second = (torch.stack([getattr(row, name) for row in rows]).to(device) for name in MOMENTS)
    return RowAdamW(ParameterBank(names, values), first, second)


def _row(optimiser: RowAdamW, row: int) -> Rows:
    tensors = (optimiser.bank.values, optimiser.first, optimiser.second)
    return Rows(*(tensor[row].detach().clone().cpu() for tensor in tensors))


def _stacked(cells: Sequence[Mapping[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
    return {name: torch.stack([cell[name] for cell in cells]).to(device) for name in cells[0]}
