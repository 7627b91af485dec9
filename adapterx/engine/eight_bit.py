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
_PART = BLOCK << 14
"""Numbers that are quantised at once, which takes thirteen bytes of each on the way."""


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
        own = (one[:, split:].to(device, copy=True) for one in (first, second))
        self._rest = RowAdamW(rest, *own)
        self.bank = bank

    @property
    def first(self) -> Tensor:  # type: ignore[override]
        """(1, P) float32, as the next step will read them, on the CPU."""
        return self.moment(0, 0)[None]

    @property
    def second(self) -> Tensor:  # type: ignore[override]
        return self.moment(1, 0)[None]

    def moment(self, number: int, row: int) -> Tensor:
        """(P,) float32 as the next step will read them, a part at a time: whole ones may not fit beside the weights."""
        split = self.bank.decaying
        found = torch.empty(self.bank.values.shape[1])
        self._moments[number].copy_to(found[:split])
        found[split:] = self._rest.moment(number, row)
        return found

    def step_all(self, table: Tensor, alive: Tensor) -> None:
        """Not for several cells: `step_row` is how it steps on every device."""
        raise NotImplementedError("8-bit moments are those of one cell, which step_row updates")

    @torch.no_grad()
    def step_row(self, row: int, taken: int, rate: float, decay: float) -> None:
        """Update the row, which has taken `taken` steps before.

        On a CPU a part at a time: the library's own code for it holds five copies of what it is given in 32 bits.
        """
        split = self.bank.decaying
        size = _PART if self.bank.values.device.type == "cpu" else split
        for start in range(0, split, size):
            self._update(slice(start, min(start + size, split)), row, taken, rate, decay)
        self._rest.step_row(row, taken, rate, 0.0)

    def _update(self, part: slice, row: int, taken: int, rate: float, decay: float) -> None:
        """Update a part of the numbers whose moments are quantised, which begins with a block."""
        first, second = self._moments
        blocks = slice(part.start // BLOCK, -(-part.stop // BLOCK))
        self._functional.optimizer_update_8bit_blockwise(
            "adam",
            self.bank.gradients[row, part],
            self.bank.values[row, part],
            first.bytes[part],
            second.bytes[part],
            *BETAS,
            0.0,
            0.0,
            EPSILON,
            taken + 1,
            rate,
            first.qmap,
            second.qmap,
            first.scales[blocks],
            second.scales[blocks],
            weight_decay=decay,
        )


class _Moments:
    """(P,) numbers as bytes, with the scale of each block, on the device of the map.

    Args:
        numbers: on any device.
        qmap: the numbers from -1 or 0 to 1 that the 256 bytes stand for, ascending.
    """

    def __init__(self, functional: Any, numbers: Tensor, qmap: Tensor) -> None:
        self._functional = functional
        self.qmap = qmap
        self.scales = torch.empty(-(-len(numbers) // BLOCK), device=qmap.device)
        self.bytes = torch.empty(len(numbers), dtype=torch.uint8, device=qmap.device)
        for start in range(0, len(numbers), _PART):
            part = numbers[start : start + _PART].to(qmap.device)
            scales, codes = self._quantised(part)
            self.scales[start // BLOCK : start // BLOCK + len(scales)] = scales
            self.bytes[start : start + _PART] = codes

    def _quantised(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Scales of the blocks, and the bytes of the numbers."""
        qmap = self.qmap
        blocks = torch.nn.functional.pad(numbers, (0, -len(numbers) % BLOCK)).view(-1, BLOCK)
        largest = blocks.abs().amax(1)
        # Of signed numbers the lowest code is above -1: a block that reaches down furthest had a larger scale.
        lowest = torch.where(blocks.amin(1) == -largest, qmap[0].abs().clamp_min(0.5), 1.0)
        scales = torch.where(largest > 0, largest / lowest, largest)
        shares = blocks / scales.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
        nearest = torch.bucketize(shares, (qmap[1:] + qmap[:-1]) / 2)
        return scales, nearest.to(torch.uint8).view(-1)[: len(numbers)]

    def copy_to(self, numbers: Tensor) -> None:
        """Write the numbers that the bytes stand for into a tensor (P,) on the CPU."""
        for start in range(0, len(self.bytes), _PART):
            part = self.bytes[start : start + _PART]
            scales = self.scales[start // BLOCK : -(-(start + len(part)) // BLOCK)]
            numbers[start : start + _PART] = self._functional.dequantize_blockwise(
                part, absmax=scales, code=self.qmap, blocksize=BLOCK
            )
