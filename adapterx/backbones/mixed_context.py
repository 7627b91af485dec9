"""What few read rows get from attention, without the keys and values of all rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adapterx.backbones.attention import mix
from adapterx.backbones.forward_pass import ForwardPass
from adapterx.backbones.layout import Blocks
from adapterx.backbones.products import dense, weighs

_READS_TO_MIX = 8
"""From this many rows to a read row on, the last layer's keys and values are not worth computing."""


def mixes(index: int, attention: Any, forward: ForwardPass) -> bool:
    """Whether few rows ask, of keys that nobody changes, and nothing is differentiated."""
    return (
        not torch.is_grad_enabled()
        and isinstance(forward.layout.read_attention, Blocks)
        and _READS_TO_MIX * len(forward.layout.reads) <= sum(forward.layout.rows)
        and weighs(attention.key)
        and weighs(attention.value)
        and not forward.adapters.adapts(index, ("key",))
    )


def mixed_context(
    index: int, attention: Any, query: Tensor, inputs: Tensor, forward: ForwardPass, heads: int, dtype: torch.dtype
) -> Tensor:
    """Context (R, d) of the read rows from their queries (R, d) and what all rows (N, d) bring into a layer.

    With k = Wₖ x + b a head's scores are q · k = (Wₖᵀ q) · x + q · b, whose last term softmax does not see; and as
    its weights sum to 1, the mean of the values is the value of the mean of x: two products at the read rows in
    place of two at all rows.

    Args:
        attention: the layer's module of queries, keys and values, whose keys nobody changes.
        dtype: number format of hidden states.
    """
    layout = forward.layout.read_attention
    assert isinstance(layout, Blocks)
    key, value = (dense(module, dtype) for module in (attention.key, attention.value))
    d = inputs.shape[1]
    per_head = d // heads
    by_head = query.view(-1, heads, per_head).transpose(0, 1)
    asked = torch.bmm(by_head, key.view(heads, per_head, d)).transpose(0, 1)
    mixed = mix(asked, inputs, layout, per_head**-0.5)
    values = torch.bmm(mixed.transpose(0, 1), value.view(heads, per_head, d).transpose(1, 2))
    context: Tensor = values.transpose(0, 1).reshape(-1, d) + attention.value.bias.to(dtype)
    if not forward.adapters.adapts(index, ("value",)):
        return context
    if forward.adapters.rescales:
        return forward.adapters.linear(index, ("value",), context, context, forward.layout.read_rows)
    # Every head has a mean of its own, so each is a row to the adapter, which is asked for one head's columns.
    rows = tuple(heads * count for count in forward.layout.read_rows)
    mixed = mixed.reshape(-1, d)
    delta = forward.adapters.linear(index, ("value",), mixed, torch.zeros_like(mixed), rows)
    by_head = delta.view(-1, heads, heads, per_head).diagonal(dim1=1, dim2=2)
    return context + by_head.transpose(1, 2).reshape(-1, d)
