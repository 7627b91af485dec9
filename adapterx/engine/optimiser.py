"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) over the rows of a parameter bank, each with its own rate."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from adapterx.methods.parameters import ParameterBank

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class RowAdamW:
    """First and second moments of a bank, (K, P) each. A row takes a step on its own."""

    def __init__(self, bank: ParameterBank, first: Tensor | None = None, second: Tensor | None = None) -> None:
        self.bank = bank
        self.first = torch.zeros_like(bank.values) if first is None else first
        self.second = torch.zeros_like(bank.values) if second is None else second

    @torch.no_grad()
    def step(self, row: int, taken: int, rate: float, decay: float) -> None:
        """Update one row, which has taken `taken` steps before; weight decay spares biases."""
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
