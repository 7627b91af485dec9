"""Products with the exact GELU in their epilogue: of a feed-forward block's first layer, and of its second's gradient.

gelu(x) = x Φ(x) and its derivative is Φ(x) + x φ(x), in float32 before the result is rounded. The product is one of
blocks of 128 × 128; it saves a reading of the wide rows forward, and two passes over them on the way back.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from adapterx.kernels.arithmetic import dot
from adapterx.kernels.launch import launch


@triton.jit
def gelu_product(
    inputs,
    weight,
    bias,
    wide,
    out,
    rows,
    count_in,
    count_out,
    weight_out,
    weight_in,
    BACKWARD: tl.constexpr,
    KEEPS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    GROUP: tl.constexpr,
):
    """out = gelu(inputs Wᵀ + bias), keeping what GELU was given in `wide`; or inputs Wᵀ · gelu'(wide)."""
    # Blocks of rows in groups, so that those at work together share what they read.
    tall, across = tl.cdiv(rows, ROWS), tl.cdiv(count_out, BLOCK_OUT)
    number = tl.program_id(0)
    group = number // (GROUP * across)
    height = tl.minimum(tall - group * GROUP, GROUP)
    row_block = group * GROUP + (number % (GROUP * across)) % height
    out_block = (number % (GROUP * across)) // height
    row = (row_block * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    o = out_block * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    total = tl.zeros((ROWS, BLOCK_OUT), tl.float32)
    for start in range(0, count_in, BLOCK_IN):
        i = start + tl.arange(0, BLOCK_IN)
        x = tl.load(
            inputs + row[:, None] * count_in + i[None, :],
            mask=(row < rows)[:, None] & (i < count_in)[None, :],
            other=0.0,
        )
        w = tl.load(
            weight + o[None, :] * weight_out + i[:, None] * weight_in,
            mask=(o < count_out)[None, :] & (i < count_in)[:, None],
            other=0.0,
        )
        total += dot(x, w)
    at = row[:, None] * count_out + o[None, :]
    inside = (row < rows)[:, None] & (o < count_out)[None, :]
    if BACKWARD:
        x = tl.load(wide + at, mask=inside, other=0.0).to(tl.float32)
        density = tl.exp(-0.5 * x * x) * 0.3989422804014327
        total = total * (0.5 * (1.0 + tl.erf(x * 0.7071067811865476)) + x * density)
    else:
        total += tl.load(bias + o, mask=o < count_out, other=0.0).to(tl.float32)[None, :]
        kept = total.to(out.dtype.element_ty)
        if KEEPS:
            tl.store(wide + at, kept, mask=inside)
        # As the library has it: of the rounded number.
        x = kept.to(tl.float32)
        total = x * 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))
    tl.store(out + at, total.to(out.dtype.element_ty), mask=inside)


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None, wide: Tensor | None) -> Tensor:
    """(N, o): forward with a bias, else backward; weight (o, i) of any strides."""
    (rows, count_in), count_out = inputs.shape, len(weight)
    out = torch.empty((rows, count_out), dtype=inputs.dtype, device=inputs.device)
    launch(
        "gelu",
        gelu_product,
        (triton.cdiv(rows, 128) * triton.cdiv(count_out, 128),),
        *(inputs, weight, weight if bias is None else bias, out if wide is None else wide, out),
        *(rows, count_in, count_out, weight.stride(0), weight.stride(1)),
        BACKWARD=bias is None,
        KEEPS=wide is not None,
        ROWS=128,
        BLOCK_IN=64,
        BLOCK_OUT=128,
        GROUP=8,
        num_warps=8,
        num_stages=3,
    )
    return out


class FeedForward(torch.autograd.Function):
    """Outputs of frozen layers W₂ gelu(W₁ x + b₁) + b₂.

    Args:
        first: (weight, bias) of the first layer, (i, d) and (i,).
        first_product: the same as a product, for its inputs' gradient.
        second: (d, i) weight of the second.
        second_product: the same as a product.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, first: tuple[Tensor, Tensor], first_product: Any, second: Tensor, second_product: Any
    ) -> Tensor:
        keeps = ctx.needs_input_grad[0]
        shape = (len(inputs), len(first[0]))
        wide = torch.empty(shape, dtype=inputs.dtype, device=inputs.device) if keeps else None
        activated = _product(inputs, *first, wide)
        ctx.save_for_backward(wide)
        ctx.first_product, ctx.second = first_product, second
        outputs: Tensor = second_product.outputs(activated)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (wide,) = ctx.saved_tensors
        inner = _product(gradient.contiguous(), ctx.second.T, None, wide)
        return ctx.first_product.input_gradient(inner), None, None, None, None
