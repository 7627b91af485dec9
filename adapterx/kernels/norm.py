"""Addition and layer norm in one kernel, both ways, with the sum of two gradients on the way back.

After the norm a hidden state goes two ways: into the next products and past them, as the residual. Its two gradients
would be added up by a kernel of their own; here the norm gives its output twice, and its backward adds as it reads.
Mean and variance are worked out again on the way back, in float32 as the library's are.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from adapterx.kernels.launch import launch

WIDEST = 8192
"""Numbers of a row that a program holds."""


@triton.jit
def norm_forward(
    update,
    residual,
    total,
    out,
    weight,
    bias,
    epsilon,
    width,
    HAS_RESIDUAL: tl.constexpr,
    KEEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """out = norm(update + residual), one row; the total is kept where its gradient will be asked for."""
    at, column = tl.program_id(0).to(tl.int64) * width, tl.arange(0, BLOCK)
    inside = column < width
    x = tl.load(update + at + column, mask=inside, other=0.0)
    if HAS_RESIDUAL:
        r = tl.load(residual + at + column, mask=inside, other=0.0)
        x = (x.to(tl.float32) + r.to(tl.float32)).to(out.dtype.element_ty)
    if KEEPS:
        tl.store(total + at + column, x, mask=inside)
    x = x.to(tl.float32)
    mean = tl.sum(x, 0) / width
    centred = tl.where(inside, x - mean, 0.0)
    inverse = 1.0 / tl.sqrt_rn(tl.sum(centred * centred, 0) / width + epsilon)
    w = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at + column, (centred * inverse * w + b).to(out.dtype.element_ty), mask=inside)


@triton.jit
def norm_backward(
    first,
    second,
    past,
    total,
    weight,
    into,
    epsilon,
    width,
    HAS_SECOND: tl.constexpr,
    HAS_PAST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """into = past + the gradient of the norm's input, of one row, where the output's is first + second."""
    at, column = tl.program_id(0).to(tl.int64) * width, tl.arange(0, BLOCK)
    inside = column < width
    g = tl.load(first + at + column, mask=inside, other=0.0).to(tl.float32)
    if HAS_SECOND:
        g += tl.load(second + at + column, mask=inside, other=0.0).to(tl.float32)
    x = tl.load(total + at + column, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(x, 0) / width
    centred = tl.where(inside, x - mean, 0.0)
    inverse = 1.0 / tl.sqrt_rn(tl.sum(centred * centred, 0) / width + epsilon)
    shape = centred * inverse
    g = g * tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    found = (g - shape * (tl.sum(g * shape, 0) / width) - tl.sum(g, 0) / width) * inverse
    if HAS_PAST:
        found += tl.load(past + at + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(into + at + column, found.to(into.dtype.element_ty), mask=inside)


def _block(width: int) -> dict[str, int]:
    size = triton.next_power_of_2(width)
    return {"BLOCK": size, "num_warps": 4 if size <= 2048 else 8}


def normed(
    update: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, epsilon: float, total: Tensor | None
) -> Tensor:
    """norm(update + residual) of (N, d) rows; their sum goes to `total` if there is one."""
    out = torch.empty_like(update)
    launch(
        "norm",
        norm_forward,
        (len(update),),
        *(update, update if residual is None else residual, out if total is None else total, out),
        *(weight, bias, epsilon, update.shape[1]),
        HAS_RESIDUAL=residual is not None,
        KEEPS=total is not None,
        **_block(update.shape[1]),
    )
    return out


def input_gradient(
    first: Tensor, second: Tensor | None, past: Tensor | None, total: Tensor, weight: Tensor, epsilon: float
) -> Tensor:
    """past + the gradient of what is normed, where that of the output is first + second."""
    into = torch.empty_like(total)
    launch(
        "norm",
        norm_backward,
        (len(total),),
        *(first, first if second is None else second, first if past is None else past, total, weight, into),
        *(epsilon, total.shape[1]),
        HAS_SECOND=second is not None,
        HAS_PAST=past is not None,
        **_block(total.shape[1]),
    )
    return into


class AddNorm(torch.autograd.Function):
    """norm(update + residual), twice the same: for the next products, and for the residual past them."""

    @staticmethod
    def forward(
        ctx: Any, update: Tensor, residual: Tensor, weight: Tensor, bias: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        kept = any(ctx.needs_input_grad[:2])
        total = torch.empty_like(update) if kept else None
        out = normed(update, residual, weight, bias, epsilon, total)
        ctx.save_for_backward(total, weight)
        ctx.epsilon = epsilon
        return out, out.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        total, weight = ctx.saved_tensors
        given = [one.contiguous() for one in gradients if one is not None]
        if not given:
            return None, None, None, None, None
        into = input_gradient(given[0], given[1] if len(given) > 1 else None, None, total, weight, ctx.epsilon)
        return into, into, None, None, None


class ForkedNorm(torch.autograd.Function):
    """norm(hidden) for the next products, and hidden itself for the residual past them."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(hidden, weight)
        ctx.epsilon = epsilon
        return normed(hidden, None, weight, bias, epsilon, None), hidden.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight = ctx.saved_tensors
        out, past = (None if one is None else one.contiguous() for one in gradients)
        if out is None:
            return past, None, None, None
        return input_gradient(out, None, past, hidden, weight, ctx.epsilon), None, None, None
