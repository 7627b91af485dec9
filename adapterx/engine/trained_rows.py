"""What a bundle trains: adapters and heads of its cells, side by side in matrices, with their optimisers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.engine import heads
from adapterx.engine.cell import TrainingCell
from adapterx.engine.eight_bit import EightBitAdamW
from adapterx.engine.heads import HeadGroup
from adapterx.engine.optimiser import RowAdamW, Step
from adapterx.engine.state import MOMENTS, CellState, Rows, head_parameters
from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed
from adapterx.methods.method import parameters
from adapterx.methods.parameters import Parameter, ParameterBank


class TrainedRows:
    """Adapters and heads of K cells, a row of a (K, P) matrix each. A cell that is not finite keeps its numbers.

    Args:
        states: where each cell stands.
        device: where the matrices live.
    """

    def __init__(
        self, cells: Sequence[TrainingCell], states: Sequence[CellState], shape: Shape, device: torch.device
    ) -> None:
        method = cells[0].method
        self.adapter = _optimiser(
            parameters(method, shape), [state.adapter for state in states], device, method.eight_bit
        )
        self.heads = [
            HeadGroup(
                members,
                torch.tensor(members, device=device),
                _optimiser(head_parameters(cells[members[0]], shape), [states[m].head for m in members], device),
            )
            for members in heads.groups(cells)
        ]
        self.alive = torch.ones(len(cells), dtype=torch.bool, device=device)
        """(K,) cells whose losses and gradients were finite so far."""

    @torch.no_grad()
    def start_from(self, states: Sequence[CellState]) -> None:
        """Bring in the numbers of other cells of the same structure, at the same places; all are alive again."""
        for cell, state in enumerate(states):
            for rows, (optimiser, row) in zip((state.adapter, state.head), self._rows_of(cell), strict=True):
                optimiser.bank.values[row].copy_(rows.values)
                optimiser.first[row].copy_(rows.first)
                optimiser.second[row].copy_(rows.second)
        self.alive.fill_(True)

    def take_gradients(self, losses: Tensor, add: bool) -> None:
        """Differentiate losses (K,) by everything that is trained, into the banks.

        Args:
            add: to what is there, else in its place.
        """
        banks = [optimiser.bank for optimiser in (self.adapter, *(group.optimiser for group in self.heads))]
        leaves = [leaf for bank in banks for leaf in bank.views.values()]
        for bank in banks:
            bank.open_gradients(add)
        gradients = list(torch.autograd.grad(losses.sum(), leaves, allow_unused=True))
        for bank in banks:
            bank.take_gradients(gradients[: len(bank.views)], add)
            del gradients[: len(bank.views)]

    def update(self, losses: Tensor, step: Step) -> None:
        """Take the step of every cell that is alive, in the way that is the fastest on the device."""
        device = self.alive.device
        if (device.type == "cuda" or choice.emulating()) and not isinstance(self.adapter, EightBitAdamW):
            table = step.table().pin_memory() if device.type == "cuda" else step.table()
            self.update_together(losses, table.to(device, non_blocking=True))
        else:
            self.update_one_by_one(losses, step)

    def update_one_by_one(self, losses: Tensor, step: Step) -> None:
        """Take the step row by row: the fastest on a CPU."""
        norms = self._judge(losses).tolist()
        for cell, alive in enumerate(self.alive.tolist()):
            if not alive:
                continue
            for optimiser, row in self._rows_of(cell):
                if norms[cell] > step.norms[cell]:
                    optimiser.bank.gradients[row].mul_(step.norms[cell] / (norms[cell] + 1e-6))
                optimiser.step_row(row, step.taken[cell], step.rates[cell], step.decays[cell])

    def update_together(self, losses: Tensor, table: Tensor) -> None:
        """The same in as many kernels as for one cell, and without asking the host.

        Args:
            table: `Step.table` on the device.
        """
        everyone = torch.arange(len(self.alive), device=losses.device)
        banks = [(self.adapter, everyone), *((group.optimiser, group.index) for group in self.heads)]
        scales = self._scales(banks, losses, table)
        for optimiser, index in banks:
            if choice.runs("adamw", losses.device):
                with suppress(KernelFailed):
                    optimiser.step_members(table, scales, self.alive, index)
                    continue
            optimiser.bank.gradients.mul_(scales[index, None])
            optimiser.step_all(table[index], self.alive[index])

    def _scales(self, banks: Sequence[tuple[RowAdamW, Tensor]], losses: Tensor, table: Tensor) -> Tensor:
        """(K,) what gradients are multiplied by to be within their limits; who is not finite is alive no longer."""
        limits = table[:, -1]
        if choice.runs("adamw", losses.device):
            from adapterx.kernels.adamw import clip_scales

            with suppress(KernelFailed):
                gradients = [(optimiser.bank.gradients, index) for optimiser, index in banks]
                return clip_scales(gradients, losses, self.alive, limits)
        norms = self._judge(losses)
        return torch.where(norms > limits, limits / (norms + 1e-6), 1.0).float()

    def copy_to(self, cell: int, state: CellState) -> None:
        """Bring the numbers of a cell's state up to date, with copies on the CPU.

        One tensor after another, each old one going as the new one comes: they may be a whole encoder's.
        """
        for rows, (optimiser, row) in zip((state.adapter, state.head), self._rows_of(cell), strict=True):
            rows.values = optimiser.bank.values[row].detach().to("cpu", copy=True)
            rows.first = optimiser.moment(0, row)
            rows.second = optimiser.moment(1, row)

    @torch.no_grad()
    def _judge(self, losses: Tensor) -> Tensor:
        """(K,) norms of the gradients; a cell that is not finite is alive no longer."""
        squares = torch.linalg.vector_norm(self.adapter.bank.gradients, dim=1).double().square()
        for group in self.heads:
            own = torch.linalg.vector_norm(group.optimiser.bank.gradients, dim=1).double().square()
            squares = squares.index_add(0, group.index, own)
        norms: Tensor = squares.sqrt()
        self.alive &= losses.isfinite() & norms.isfinite()
        return norms

    def _rows_of(self, cell: int) -> Iterator[tuple[RowAdamW, int]]:
        """Where its adapter and where its heads are."""
        yield self.adapter, cell
        for group in self.heads:
            if cell in group.members:
                yield group.optimiser, group.members.index(cell)


def _optimiser(
    names: Sequence[Parameter], rows: Sequence[Rows], device: torch.device, eight_bit: bool = False
) -> RowAdamW:
    values, first, second = ([getattr(row, name) for row in rows] for name in MOMENTS)
    bank = ParameterBank(names, _together(values, device))
    if eight_bit:  # of one cell; the optimiser fetches them a part at a time from where they are
        return EightBitAdamW(bank, first[0][None], second[0][None])
    return RowAdamW(bank, _together(first, device), _together(second, device))


def _together(rows: Sequence[Tensor], device: torch.device) -> Tensor:
    """(K, P) on the device: of one row that is there already, the row itself, for it may be a whole encoder's."""
    return torch.stack(list(rows)).to(device) if len(rows) > 1 else rows[0][None].to(device)
