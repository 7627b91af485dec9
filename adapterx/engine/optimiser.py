"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) over the rows of a parameter bank, each with its own rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from adapterx.methods.parameters import ParameterBank

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@dataclass(frozen=True)
class Step:
    """What the next step of each of K cells is to be."""

    taken: tuple[int, ...]
    """Steps before this one."""
    rates: tuple[float, ...]
    decays: tuple[float, ...]
    """Decoupled weight decay; biases are spared."""
    norms: tuple[float, ...]
    """Largest norm of a cell's gradient."""

    def table(self) -> Tensor:
        """(K, 5) float32: rate, rate × decay, 1 - β₁ᵗ, √(1 - β₂ᵗ), largest norm; what a device needs of the step."""
        lines = [
            (rate, rate * decay, 1 - BETAS[0] ** (taken + 1), (1 - BETAS[1] ** (taken + 1)) ** 0.5, norm)
            for taken, rate, decay, norm in zip(self.taken, self.rates, self.decays, self.norms, strict=True)
        ]
        return torch.tensor(lines, dtype=torch.float32)


class RowAdamW:
    """First and second moments of a bank, (K, P) each."""

    def __init__(self, bank: ParameterBank, first: Tensor, second: Tensor) -> None:
        self.bank = bank
        self.first = first
        self.second = second

    def moment(self, number: int, row: int) -> Tensor:
        """(P,) first (0) or second (1) moments of a row, copied to the CPU."""
        return (self.first, self.second)[number][row].detach().to("cpu", copy=True)

    @torch.no_grad()
    def step_row(self, row: int, taken: int, rate: float, decay: float) -> None:
        """Update one row, which has taken `taken` steps before: the fastest on a CPU."""
        split = self.bank.decaying
        for columns, weight_decay in ((slice(None, split), decay), (slice(split, None), 0.0)):
            if self.bank.values[row, columns].numel() == 0:
                continue
            adamw(
                [self.bank.values[row, columns]],
                [self.bank.gradients[row, columns]],
                [self.first[row, columns]],
                [self.second[row, columns]],
                [],
                [torch.tensor(float(taken), device=self.bank.values.device)],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=rate,
                weight_decay=weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    @torch.no_grad()
    def step_members(self, table: Tensor, scales: Tensor, alive: Tensor, members: Tensor) -> None:
        """Update every row whose cell is alive in one kernel, with its gradient scaled. Raises KernelFailed.

        Args:
            table: (K, 5) `Step.table` of all cells, on the device.
            scales: (K,) what gradients are multiplied by.
            alive: (K,) bool.
            members: (rows,) the cell of each row.
        """
        from adapterx.kernels.adamw import step

        bank, moments = self.bank, (self.first, self.second)
        step(bank.values, bank.gradients, moments, members, bank.decaying, table, scales, alive, BETAS, EPSILON)

    @torch.no_grad()
    def step_all(self, table: Tensor, alive: Tensor) -> None:
        """Update every row that is alive, in as many kernels as for one and without asking the host.

        Args:
            table: (K, 5) `Step.table` of these rows, on the device.
            alive: (K,) bool.
        """
        rate, shrink, first_bias, second_bias, _ = (column[:, None] for column in table.unbind(1))
        go, values, gradients = alive[:, None], self.bank.values, self.bank.gradients
        first = torch.lerp(self.first, gradients, 1 - BETAS[0])
        second = torch.addcmul(self.second * BETAS[1], gradients, gradients, value=1 - BETAS[1])
        update = first / first_bias / ((second.sqrt() / second_bias) + EPSILON) * rate
        update[:, : self.bank.decaying] += values[:, : self.bank.decaying] * shrink
        torch.where(go, first, self.first, out=self.first)
        torch.where(go, second, self.second, out=self.second)
        # A gradient that is not finite must not reach the values: NaN times nothing is still NaN.
        values.sub_(torch.where(go, update, torch.zeros_like(update)))
