"""Attention within many short sequences: one program per sequence and head, forward and backward.

FlashAttention-2's variable-length kernels tile 128 × 128 whatever the length, and add queries' gradients up in a
float32 buffer. Here a program holds a whole sequence of up to 128 tokens, in the smallest block of 32, 64 or 128 that
it fits, so that softmax needs no second pass and nothing is added up between programs. Scores and their softmax are in
float32; products are in the format of the inputs, as in FlashAttention.
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
def _softmax(q, k, keys, scale, BLOCK_K: tl.constexpr):
    """(BLOCK_Q, BLOCK_K) weights of the first `keys` keys."""
    s = dot(q, tl.trans(k)) * (scale * 1.4426950408889634)  # in powers of 2
    s = tl.where((tl.arange(0, BLOCK_K) < keys)[None, :], s, -float("inf"))
    p = tl.exp2(s - tl.max(s, 1)[:, None])
    return p / tl.sum(p, 1)[:, None]


@triton.jit
def attention_forward(
    query,
    key,
    value,
    out,
    query_starts,
    key_starts,
    members,
    count,
    scale,
    query_stride,
    key_stride,
    out_stride,
    D: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    which, head = tl.program_id(0), tl.program_id(1)
    if which >= tl.load(count):
        return
    sequence = tl.load(members + which)
    q_start, k_start = tl.load(query_starts + sequence).to(tl.int64), tl.load(key_starts + sequence).to(tl.int64)
    queries = tl.load(query_starts + sequence + 1) - q_start
    keys = tl.load(key_starts + sequence + 1) - k_start
    q_row, k_row, col = tl.arange(0, BLOCK_Q), tl.arange(0, BLOCK_K), tl.arange(0, WIDTH)
    q_in = (q_row < queries)[:, None] & (col < D)[None, :]
    k_in = (k_row < keys)[:, None] & (col < D)[None, :]
    k_at = (k_start + k_row)[:, None] * key_stride + head * D + col[None, :]
    q = tl.load(query + (q_start + q_row)[:, None] * query_stride + head * D + col[None, :], mask=q_in, other=0.0)
    k = tl.load(key + k_at, mask=k_in, other=0.0)
    v = tl.load(value + k_at, mask=k_in, other=0.0)
    p = _softmax(q, k, keys, scale, BLOCK_K)
    o = dot(p.to(v.dtype), v)
    o_at = (q_start + q_row)[:, None] * out_stride + head * D + col[None, :]
    tl.store(out + o_at, o.to(out.dtype.element_ty), mask=q_in)


@triton.jit
def attention_backward(
    query,
    key,
    value,
    gradient,
    query_gradient,
    key_gradient,
    value_gradient,
    query_starts,
    key_starts,
    members,
    count,
    scale,
    query_stride,
    key_stride,
    gradient_stride,
    query_gradient_stride,
    key_gradient_stride,
    D: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_Q: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    which, head = tl.program_id(0), tl.program_id(1)
    if which >= tl.load(count):
        return
    sequence = tl.load(members + which)
    q_start, k_start = tl.load(query_starts + sequence).to(tl.int64), tl.load(key_starts + sequence).to(tl.int64)
    queries = tl.load(query_starts + sequence + 1) - q_start
    keys = tl.load(key_starts + sequence + 1) - k_start
    q_row, k_row, col = tl.arange(0, BLOCK_Q), tl.arange(0, BLOCK_K), tl.arange(0, WIDTH)
    q_in = (q_row < queries)[:, None] & (col < D)[None, :]
    k_in = (k_row < keys)[:, None] & (col < D)[None, :]
    k_at = (k_start + k_row)[:, None] * key_stride + head * D + col[None, :]
    q = tl.load(query + (q_start + q_row)[:, None] * query_stride + head * D + col[None, :], mask=q_in, other=0.0)
    k = tl.load(key + k_at, mask=k_in, other=0.0)
    v = tl.load(value + k_at, mask=k_in, other=0.0)
    do_at = (q_start + q_row)[:, None] * gradient_stride + head * D + col[None, :]
    do = tl.load(gradient + do_at, mask=q_in, other=0.0)
    p = _softmax(q, k, keys, scale, BLOCK_K)
    dp = dot(do, tl.trans(v))
    # The row sum of p · dp is that of the gradient times the output, which need not be kept.
    ds = (p * (dp - tl.sum(p * dp, 1)[:, None]) * scale).to(q.dtype)
    dq = dot(ds, k)
    # Of rows beyond the queries, gradients are zero and so are their parts here.
    dk = dot(tl.trans(ds), q)
    dv = dot(tl.trans(p.to(do.dtype)), do)
    dq_at = (q_start + q_row)[:, None] * query_gradient_stride + head * D + col[None, :]
    dk_at = (k_start + k_row)[:, None] * key_gradient_stride + head * D + col[None, :]
    tl.store(query_gradient + dq_at, dq.to(query_gradient.dtype.element_ty), mask=q_in)
    tl.store(key_gradient + dk_at, dk.to(key_gradient.dtype.element_ty), mask=k_in)
    tl.store(value_gradient + dk_at, dv.to(value_gradient.dtype.element_ty), mask=k_in)


def _constants(width: int, block: tuple[int, int], backward: bool) -> dict[str, int]:
    few = 2 if block[1] <= 32 else 4
    warps = few if not backward else (4 if block[1] <= 64 else 8)
    padded = max(16, triton.next_power_of_2(width))
    return {"D": width, "WIDTH": padded, "BLOCK_Q": block[0], "BLOCK_K": block[1], "num_warps": warps}


def forward(
    q: Tensor, k: Tensor, v: Tensor, starts: tuple[Tensor, Tensor], buckets: Any, heads: int, out: Tensor
) -> None:
    """Write the contexts (Q, d) of the sequences in the buckets; other rows stay as they are.

    Args:
        q: (Q, d) queries, contiguous in each row; k and v (N, d) with one stride between rows.
        starts: (S + 1,) int32 of queries and of keys.
        buckets: `Short`-like: members, count and block of each bucket.
    """
    width = q.shape[1] // heads
    for members, count, block in buckets:
        launch(
            "attention",
            attention_forward,
            (len(members), heads),
            *(q, k, v, out, *starts, members, count, width**-0.5, q.stride(0), k.stride(0), out.stride(0)),
            **_constants(width, block, backward=False),
        )


def backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gradient: Tensor,
    starts: tuple[Tensor, Tensor],
    buckets: Any,
    heads: int,
    into: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Write the gradients of queries, keys and values; arguments as of `forward`, `into` like q, k and v."""
    width = q.shape[1] // heads
    strides = (q.stride(0), k.stride(0), gradient.stride(0), into[0].stride(0), into[1].stride(0))
    for members, count, block in buckets:
        launch(
            "attention",
            attention_backward,
            (len(members), heads),
            *(q, k, v, gradient, *into, *starts, members, count, width**-0.5, *strides),
            **_constants(width, block, backward=True),
        )


class ShortAttention(torch.autograd.Function):
    """Contexts (Q, d) of the rows of sequences in buckets; what other rows get is arbitrary, their gradients zero.

    With all rows asking, queries, keys and values are one tensor (N, 3 d), and so is their gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key_value: Tensor | None,
        starts: tuple[Tensor, Tensor],
        buckets: Any,
        heads: int,
        all_short: bool,
    ) -> Tensor:
        q, k, v = _parts(query, key_value)
        out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        forward(q, k, v, starts, buckets, heads, out)
        ctx.save_for_backward(query, key_value)
        ctx.starts, ctx.buckets, ctx.heads, ctx.all_short = starts, buckets, heads, all_short
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value = ctx.saved_tensors
        make = torch.empty_like if ctx.all_short else torch.zeros_like
        into = [None if one is None else make(one, memory_format=torch.contiguous_format) for one in (query, key_value)]
        assert into[0] is not None
        parts = _parts(query, key_value), _parts(into[0], into[1])
        backward(*parts[0], gradient.contiguous(), ctx.starts, ctx.buckets, ctx.heads, parts[1])
        return into[0], into[1], None, None, None, None


def _parts(query: Tensor, key_value: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Views of queries, keys and values (·, d)."""
    if key_value is None:
        width = query.shape[1] // 3
        return query[:, :width], query[:, width : 2 * width], query[:, 2 * width :]
    width = query.shape[1]
    return query, key_value[:, :width], key_value[:, width:]
