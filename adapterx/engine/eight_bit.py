"""AdamW whose moments take one byte a number, by `bitsandbytes` (Dettmers et al. 2022, arXiv 2110.02861)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adapterx.backbones.bitsandbytes_layers import bitsandbytes
from adapterx.engine.optimiser import BETAS, EPSILON, RowAdamW
from adapterx.methods.parameters import ParameterBank

BLOCK = 256
"""Numbers that share a scale, as the library's optimiser kernels have it."""


class EightBitAdamW(RowAdamW):
    """First and second moments of a bank of one row, quantised block by block where weights decay: in matrices.

    Biases and norms are few, and keep their moments in float32. Moments read back are the numbers the next step starts
    from, and written again they are the same bytes, so a resumed training is the same but for the rounding of scales.
    """

    def __init__(self, bank: ParameterBank, first: Tensor, second: Tensor) -> None:
        if len(bank.values) != 1:
            raise ValueError(f"quantised moments are those of one cell, not of {len(bank.values)}")
        self._functional = bitsandbytes("8-bit AdamW").functional
        device, split = bank.values.device, bank.decaying
        # The library's own maps: of signed numbers, and of numbers from 0.
        maps = [self._functional.create_dynamic_map(signed=signed).to(device) for signed in (True, False)]
        self._moments = [
            _Moments(self._functional, one[0, :split], qmap) for one, qmap in zip((first, second), maps, strict=True)
        ]
        rest = ParameterBank([], bank.values[:, :0])
        rest.values, rest.gradients, rest.decaying = bank.values[:, split:], bank.gradients[:, split:], 0
        self._rest = RowAdamW(rest, first[:, split:].clone(), second[:, split:].clone())
        self.bank = bank

    @property
    def first(self) -> Tensor:  # type: ignore[override]
        """(1, P) float32, as the next step will read them."""
        return torch.cat([self._moments[0].numbers(), self._rest.first[0]])[None]

    @property
    def second(self) -> Tensor:  # type: ignore[override]
        return torch.cat([self._moments[1].numbers(), self._rest.second[0]])[None]

    def step_all(self, table: Tensor, alive: Tensor) -> None:
        """Not for several cells: `step_row` is how it steps on every device."""
        raise NotImplementedError("8-bit moments are those of one cell, which step_row updates")

    @torch.no_grad()
    def step_row(self, row: int, taken: int, rate: float, decay: float) -> None:
        """Update the row, which has taken `taken` steps before."""
        split, (first, second) = self.bank.decaying, self._moments
        self._functional.optimizer_update_8bit_blockwise(
            "adam",
            self.bank.gradients[row, :split],
            self.bank.values[row, :split],
            first.bytes,
            second.bytes,
            *BETAS,
            0.0,
            0.0,
            EPSILON,
            taken + 1,
            rate,
            first.qmap,
            second.qmap,
            first.scales,
            second.scales,
            weight_decay=decay,
        )
        self._rest.step_row(row, taken, rate, 0.0)


class _Moments:
    """(P,) numbers as bytes, with the scale of each block."""

    def __init__(self, functional: Any, numbers: Tensor, qmap: Tensor) -> None:
        self._functional = functional
        self.qmap = qmap
        blocks = torch.nn.functional.pad(numbers, (0, -len(numbers) % BLOCK)).view(-1, BLOCK)
        largest = blocks.abs().amax(1)
        # Of signed numbers the lowest code is above -1: a block that reaches down furthest had a larger scale.
        lowest = torch.where(blocks.amin(1) == -largest, qmap[0].abs().clamp_min(0.5), 1.0)
        self.scales = torch.where(largest > 0, largest / lowest, largest)
        shares = blocks / self.scales.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
        nearest = torch.bucketize(shares, (qmap[1:] + qmap[:-1]) / 2)
        self.bytes = nearest.to(torch.uint8).view(-1)[: len(numbers)].contiguous()

    def numbers(self) -> Tensor:
        found: Tensor = self._functional.dequantize_blockwise(
            self.bytes, absmax=self.scales, code=self.qmap, blocksize=BLOCK
        )
        return found
