"""Dropout of all cells in one kernel, with masks counted from keys on the device, so that a recorded step can use it.

The masks are those of `methods.rows.CellDropout`, bit for bit: the same hash of the same keys, rows and columns. The
mask is counted again on the way back instead of being kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from adapterx.kernels.launch import launch
from adapterx.kernels.tiles import TILE, Masks, RowTiles

_COLUMNS = 128


@triton.jit
def _mixed(values):
    """int32 values scrambled, by products that wrap around."""
    values = values * 0x21F0AAAD
    values = values ^ ((values >> 15) & 0x1FFFF)
    return values * 0x735A2D97


@triton.jit
def masked_rows(
    inputs,
    out,
    tiles,
    starts,
    keys,
    firsts,
    place,
    places,
    limit,
    factor,
    columns,
    input_stride,
    out_stride,
    READS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    which = tl.program_id(0)
    count = tl.load(tiles + 3 * which + 2)
    if count == 0:
        return
    cell, first = tl.load(tiles + 3 * which), tl.load(tiles + 3 * which + 1)
    low = tl.load(keys + 2 * (cell * places + place))
    high = tl.load(keys + 2 * (cell * places + place) + 1)
    row, column = tl.arange(0, ROWS), tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    own = tl.load(firsts + 2 * cell + READS) + first - tl.load(starts + cell) + row
    mixed = _mixed(_mixed(own ^ low)[:, None] ^ _mixed(column ^ high)[None, :])
    at = (first + row).to(tl.int64)[:, None]
    inside = (row < count)[:, None] & (column < columns)[None, :]
    x = tl.load(inputs + at * input_stride + column[None, :], mask=inside, other=0.0)
    # What is not finite stays so, as a product with a mask leaves it.
    kept = x.to(tl.float32) * tl.where(mixed < limit, factor, 0.0)
    tl.store(out + at * out_stride + column[None, :], kept.to(out.dtype.element_ty), mask=inside)


def _factor(keep: float, number: torch.dtype) -> float:
    """1 / keep as the library has it in a format: divided in float32, then rounded to the nearest."""
    quotient = np.float32(1.0) / np.float32(keep)
    if number != torch.bfloat16:
        return float(quotient)
    bits = int(quotient.view(np.uint32))
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return float(np.uint32(rounded).view(np.float32))


def masked(inputs: Tensor, tiles: RowTiles, masks: Masks, place: int, reads: bool, keep: float) -> Tensor:
    """Inputs (N, d) with entries zeroed and the rest scaled by 1 / keep, in their format."""
    out = torch.empty_like(inputs, memory_format=torch.contiguous_format)
    launch(
        "dropout",
        masked_rows,
        (len(tiles.tiles), -(-inputs.shape[1] // _COLUMNS)),
        *(inputs, out, tiles.tiles, tiles.starts, masks.keys, masks.firsts, place, masks.keys.shape[1]),
        *(round(keep * 2**32 - 2**31), _factor(keep, inputs.dtype), inputs.shape[1], inputs.stride(0), out.stride(0)),
        READS=int(reads),
        ROWS=TILE,
        COLUMNS=_COLUMNS,
    )
    return out


class Dropped(torch.autograd.Function):
    """`masked`, both ways."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, *how: Any) -> Tensor:
        ctx.how = how
        return masked(inputs if inputs.stride(1) == 1 else inputs.contiguous(), *how)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return masked(gradient.contiguous(), *ctx.how), *[None] * len(ctx.how)
