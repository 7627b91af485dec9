"""Products of packed rows with each cell's own weights, for cells with rows of any number at once.

A program takes one tile of rows, all of one cell (`tiles`), so a cell's rows meet the same sums whoever its neighbours
are. Weights are read as they are trained, in float32, and rounded to the format of the rows on the way; gradients of
weights are added up in float32 and written where the optimiser reads them (`methods.parameters.gradient_into`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from adapterx.kernels.arithmetic import dot
from adapterx.kernels.launch import launch
from adapterx.kernels.tiles import TILE, RowTiles

Place = Callable[[Tensor], Tensor]
"""Gives the tensor that a weight's gradient is to be written to."""


@triton.jit
def rows_product(
    inputs,
    weight,
    bias,
    base,
    out,
    tiles,
    count_in,
    count_out,
    input_stride,
    weight_cell,
    weight_out,
    weight_in,
    bias_cell,
    base_stride,
    out_stride,
    HAS_BIAS: tl.constexpr,
    HAS_BASE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    """out = inputs Wᵀ + bias + base, of a tile's rows and a block of outputs."""
    which, block = tl.program_id(0), tl.program_id(1)
    count = tl.load(tiles + 3 * which + 2)
    if count == 0:
        return
    cell = tl.load(tiles + 3 * which).to(tl.int64)
    first = tl.load(tiles + 3 * which + 1).to(tl.int64)
    row, o = tl.arange(0, ROWS), block * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    there, wanted = row < count, o < count_out
    total = tl.zeros((ROWS, BLOCK_OUT), tl.float32)
    for start in range(0, count_in, BLOCK_IN):
        i = start + tl.arange(0, BLOCK_IN)
        x = tl.load(
            inputs + (first + row)[:, None] * input_stride + i[None, :],
            mask=there[:, None] & (i < count_in)[None, :],
            other=0.0,
        )
        w = tl.load(
            weight + cell * weight_cell + i[:, None] * weight_in + o[None, :] * weight_out,
            mask=(i < count_in)[:, None] & wanted[None, :],
            other=0.0,
        )
        total += dot(x, w)
    inside = there[:, None] & wanted[None, :]
    if HAS_BIAS:
        total += tl.load(bias + cell * bias_cell + o, mask=wanted, other=0.0).to(tl.float32)[None, :]
    if HAS_BASE:
        total += tl.load(base + (first + row)[:, None] * base_stride + o[None, :], mask=inside, other=0.0).to(
            tl.float32
        )
    tl.store(out + (first + row)[:, None] * out_stride + o[None, :], total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def weight_gradient(
    gradient,
    inputs,
    into,
    bias_into,
    starts,
    count_in,
    count_out,
    gradient_stride,
    input_stride,
    into_cell,
    into_out,
    into_in,
    bias_cell,
    scale,
    HAS_BIAS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    """into[cell] = scale · gradientᵀ inputs over the cell's rows, of a block of outputs and one of inputs."""
    cell = tl.program_id(0).to(tl.int64)
    o = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    i = tl.program_id(2) * BLOCK_IN + tl.arange(0, BLOCK_IN)
    first, last = tl.load(starts + cell).to(tl.int64), tl.load(starts + cell + 1).to(tl.int64)
    total = tl.zeros((BLOCK_OUT, BLOCK_IN), tl.float32)
    sums = tl.zeros((BLOCK_OUT,), tl.float32)
    for start in range(first, last, ROWS):
        row = start + tl.arange(0, ROWS)
        g = tl.load(
            gradient + row[:, None] * gradient_stride + o[None, :],
            mask=(row < last)[:, None] & (o < count_out)[None, :],
            other=0.0,
        )
        x = tl.load(
            inputs + row[:, None] * input_stride + i[None, :],
            mask=(row < last)[:, None] & (i < count_in)[None, :],
            other=0.0,
        )
        total += dot(tl.trans(g), x)
        if HAS_BIAS:
            sums += tl.sum(g.to(tl.float32), 0)
    at = into + cell * into_cell + o[:, None] * into_out + i[None, :] * into_in
    tl.store(at, total * scale, mask=(o < count_out)[:, None] & (i < count_in)[None, :])
    if HAS_BIAS:
        tl.store(bias_into + cell * bias_cell + o, sums * scale, mask=(o < count_out) & (tl.program_id(2) == 0))


def block(count: int) -> int:
    """A block's side for so many numbers: 16 at least, which tensor cores want, and 64 at most."""
    return min(64, max(16, 1 << (count - 1).bit_length()))


def product(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, base: Tensor | None, tiles: RowTiles, out: Tensor
) -> None:
    """Write inputs Wᵀ + bias + base to (N, o); weight (K, o, i) and bias (K, o) of any format and strides."""
    count_out, count_in = weight.shape[1:]
    width = block(count_out)
    launch(
        "products",
        rows_product,
        (len(tiles.tiles), -(-count_out // width)),
        *(inputs, weight, weight if bias is None else bias, out if base is None else base, out, tiles.tiles),
        *(count_in, count_out, inputs.stride(0), weight.stride(0), weight.stride(1), weight.stride(2)),
        *(0 if bias is None else bias.stride(0), 0 if base is None else base.stride(0), out.stride(0)),
        HAS_BIAS=bias is not None,
        HAS_BASE=base is not None,
        ROWS=TILE,
        BLOCK_IN=block(count_in),
        BLOCK_OUT=width,
    )


def gradients(
    gradient: Tensor, inputs: Tensor, tiles: RowTiles, into: Tensor, bias_into: Tensor | None, scale: float = 1.0
) -> None:
    """Write scale · gradientᵀ inputs of each cell to (K, o, i), and the sums of the gradient's rows to (K, o)."""
    cells, count_out, count_in = into.shape
    launch(
        "products",
        weight_gradient,
        (cells, -(-count_out // block(count_out)), -(-count_in // block(count_in))),
        *(gradient, inputs, into, into if bias_into is None else bias_into, tiles.starts, count_in, count_out),
        *(gradient.stride(0), inputs.stride(0), *into.stride()),
        *(0 if bias_into is None else bias_into.stride(0), scale),
        HAS_BIAS=bias_into is not None,
        ROWS=64,
        BLOCK_IN=block(count_in),
        BLOCK_OUT=block(count_out),
    )


class LinearByCell(torch.autograd.Function):
    """base + inputs Wᵀ + bias, in the format of the inputs; gradients of weights in the weights' own."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        base: Tensor | None,
        tiles: RowTiles,
        slots: tuple[Place, Place | None],
    ) -> Tensor:
        out = torch.empty((len(inputs), weight.shape[1]), dtype=inputs.dtype, device=inputs.device)
        inputs = inputs if inputs.stride(1) == 1 else inputs.contiguous()
        product(inputs, weight, bias, base, tiles, out)
        ctx.save_for_backward(inputs if ctx.needs_input_grad[1] else None, weight, bias)
        ctx.tiles, ctx.slots = tiles, slots
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, bias = ctx.saved_tensors
        gradient = gradient.contiguous()
        into = weight_into = bias_into = None
        if ctx.needs_input_grad[0]:
            into = torch.empty((len(gradient), weight.shape[2]), dtype=gradient.dtype, device=gradient.device)
            product(gradient, weight.transpose(1, 2), None, None, ctx.tiles, into)
        if ctx.needs_input_grad[1]:
            weight_into, bias_into = ctx.slots[0](weight), None if bias is None else ctx.slots[1](bias)
            gradients(gradient, inputs, ctx.tiles, weight_into, bias_into)
        return into, weight_into, bias_into, gradient if ctx.needs_input_grad[3] else None, None, None
