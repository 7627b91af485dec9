"""Scaled dot-product attention within each sequence of a packed batch."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import torch
from torch import Tensor

from adapterx.backbones.layout import Attention, Blocks, Rectangle, SequenceSpans, Short
from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed


class _Gather(torch.autograd.Function):
    """Rows (N, d) to slots (M, d). Every row has exactly one slot, so the backward is a gather too."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Rectangle) -> Tensor:
        ctx.index = index
        return rows.index_select(0, index.gather)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.index.scatter), None


class _Scatter(torch.autograd.Function):
    """Slots (M, d) to rows (N, d). The backward leaves a gradient of exactly zero at padding."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, index: Rectangle) -> Tensor:
        ctx.index = index
        return slots.index_select(0, index.scatter)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        index: Rectangle = ctx.index
        slots = gradient.index_select(0, index.gather)
        if index.padding is not None:
            slots.masked_fill_(index.padding[:, None], 0.0)
        return slots, None


def _gather(rows: Tensor, index: Rectangle) -> Tensor:
    return cast(Tensor, _Gather.apply(rows, index))  # type: ignore[no-untyped-call]


def attend_all(projected: Tensor, layout: Attention, heads: int) -> Tensor:
    """Contexts (N, d) of all rows from their queries, keys and values (N, 3 d), side by side."""
    if isinstance(layout, SequenceSpans) and layout.short is not None and choice.runs("attention", projected.device):
        with suppress(KernelFailed):
            return _attend_short(projected, None, layout, layout.short, heads)
    width = projected.shape[1] // 3
    query, key_value = torch.split(projected, [width, 2 * width], dim=1)
    return _attend(query, key_value, layout, heads)


def attend(query: Tensor, key_value: Tensor, layout: Attention, heads: int) -> Tensor:
    """Scaled dot-product attention within each sequence.

    Args:
        query: (Q, d) projected queries: all rows, or the read rows.
        key_value: (N, 2d) projected keys and values of all rows, side by side.

    Returns:
        (Q, d) context of each query row.
    """
    if isinstance(layout, SequenceSpans) and layout.short is not None and choice.runs("attention", query.device):
        with suppress(KernelFailed):
            return _attend_short(query, key_value, layout, layout.short, heads)
    return _attend(query, key_value, layout, heads)


def _attend(query: Tensor, key_value: Tensor, layout: Attention, heads: int) -> Tensor:
    """The same by the library's kernels."""
    if isinstance(layout, SequenceSpans):
        return _attend_spans(query, key_value, layout, heads)
    return _attend_blocks(query, key_value, layout, heads)


def mix(query: Tensor, inputs: Tensor, layout: Attention, scale: float) -> Tensor:
    """Means of each sequence's inputs, weighted by the softmax of scale · query · input; no gradient.

    Args:
        query: (Q, h, d), h queries of each query row.
        inputs: (N, d), keys and values at once.

    Returns:
        (Q, h, d).
    """
    if not isinstance(layout, Blocks):
        raise TypeError("inputs are mixed in rectangles only")
    heads, width = query.shape[1:]
    asked = query.reshape(len(query), -1).index_select(0, layout.queries.gather)
    asked_parts = torch.split(asked, [block.sequences * block.queries for block in layout.blocks])
    slots = inputs.index_select(0, layout.keys.gather)
    input_parts = torch.split(slots, [block.sequences * block.keys for block in layout.blocks])
    mixed = []
    for block, q_slots, x_slots in zip(layout.blocks, asked_parts, input_parts, strict=True):
        q = q_slots.view(block.sequences, 1, block.queries * heads, width)
        x = x_slots.view(block.sequences, 1, block.keys, width)
        means = torch.nn.functional.scaled_dot_product_attention(q, x, x, attn_mask=block.mask, scale=scale)
        mixed.append(means.reshape(-1, heads, width))
    return torch.cat(mixed).index_select(0, layout.queries.scatter)


def _attend_blocks(query: Tensor, key_value: Tensor, layout: Blocks, heads: int) -> Tensor:
    width = query.shape[1]
    blocks = layout.blocks
    # Split and unbind, not slices: the backward of a slice is a whole tensor of zeros.
    queries = torch.split(_gather(query, layout.queries), [block.sequences * block.queries for block in blocks])
    pairs = torch.split(_gather(key_value, layout.keys), [block.sequences * block.keys for block in blocks])
    contexts = []
    for block, q_slots, kv_slots in zip(blocks, queries, pairs, strict=True):
        q = q_slots.view(block.sequences, block.queries, heads, width // heads).transpose(1, 2)
        pair = kv_slots.view(block.sequences, block.keys, 2, heads, width // heads).unbind(2)
        k, v = pair[0].transpose(1, 2), pair[1].transpose(1, 2)
        context = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=block.mask)
        contexts.append(context.transpose(1, 2).reshape(block.sequences * block.queries, width))
    slots = contexts[0] if len(contexts) == 1 else torch.cat(contexts)
    return cast(Tensor, _Scatter.apply(slots, layout.queries))  # type: ignore[no-untyped-call]


def _attend_short(query: Tensor, key_value: Tensor | None, layout: SequenceSpans, short: Short, heads: int) -> Tensor:
    """Contexts by the kernel for short sequences, and by the library's of those that are not.

    Args:
        key_value: None where `query` has queries, keys and values of all rows.
    """
    from adapterx.kernels.attention import ShortAttention

    starts, long = (layout.queries, layout.keys), short.long
    buckets = [(bucket.members, bucket.count, bucket.block) for bucket in short.buckets]
    found = cast(Tensor, ShortAttention.apply(query, key_value, starts, buckets, heads, long is None))  # type: ignore[no-untyped-call]
    if long is None:
        return found
    asking = query.index_select(0, long.queries)
    if key_value is None:
        width = query.shape[1] // 3
        asking, answering = torch.split(asking, [width, 2 * width], dim=1)
    else:
        answering = key_value.index_select(0, long.keys)
    return found.index_copy(0, long.queries, _attend_spans(asking, answering, long.spans, heads))


def _attend_spans(query: Tensor, key_value: Tensor, layout: SequenceSpans, heads: int) -> Tensor:
    width = query.shape[1]
    q = query.view(-1, heads, width // heads)
    k, v = key_value.view(-1, 2, heads, width // heads).unbind(1)
    if query.device.type == "cuda":
        from torch.nn.attention.varlen import varlen_attn

        context = varlen_attn(q, k, v, layout.queries, layout.keys, *layout.longest)
    else:
        context = _one_by_one(q, k, v, layout)
    return cast(Tensor, context).reshape(-1, width)


def _one_by_one(q: Tensor, k: Tensor, v: Tensor, layout: SequenceSpans) -> Tensor:
    """What the kernel computes, sequence after sequence, where there is no kernel."""
    asked, answered = (offsets.diff().tolist() for offsets in (layout.queries, layout.keys))
    contexts = []
    for asking, keys, values in zip(
        torch.split(q, asked), torch.split(k, answered), torch.split(v, answered), strict=True
    ):
        if len(asking):
            context = torch.nn.functional.scaled_dot_product_attention(
                asking.transpose(0, 1), keys.transpose(0, 1), values.transpose(0, 1)
            )
            contexts.append(context.transpose(0, 1))
    return torch.cat(contexts)
