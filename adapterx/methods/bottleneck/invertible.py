"""Invertible adapters at the embeddings of many cells at once (MAD-X: Pfeiffer et al. 2020, arXiv 2005.00052, 3.2).

A coupling block after NICE (Dinh et al. 2014, arXiv 1410.8516), as AdapterHub's `adapters` 1.3.0 has it in `seq_bn_inv`
(`adapters/methods/modeling.py`, NICECouplingBlock). With the features of a row cut into halves a and b,

    a' = a + F(b),  b' = b + G(a'),     and back again:  b = b' - G(a'),  a = a' - F(b)

where F and G are bottlenecks of half their input's width. Going forward it changes what the embeddings give; its
inverse acts in a masked-LM head, before the product with those embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.bottleneck.activations import ACTIVATIONS
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.parameters import Parameter, normal, zeros
from adapterx.methods.rows import linear_by_cell

REDUCTION = 2
"""Inputs of F and G for each feature inside them."""
PREFIX = "embeddings.invertible."


def parameters(method: Bottleneck, shape: Shape) -> list[Parameter]:
    """Down and up of F and G with their biases; none where the method has no invertible adapter."""
    if method.invertible is None:
        return []
    first = shape.hidden // 2
    second = shape.hidden - first
    found = []
    for part, inputs, outputs in (("F", second, first), ("G", first, second)):
        inside = inputs // REDUCTION
        found.append(Parameter(f"{PREFIX}{part}.down.weight", (inside, inputs), normal(0.02)))
        found.append(Parameter(f"{PREFIX}{part}.down.bias", (inside,), zeros, decays=False))
        found.append(Parameter(f"{PREFIX}{part}.up.weight", (outputs, inside), normal(0.02)))
        found.append(Parameter(f"{PREFIX}{part}.up.bias", (outputs,), zeros, decays=False))
    return found


def forward(method: Bottleneck, tensors: Mapping[str, Tensor], hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
    """(N, d) embeddings as the layers are to see them. `tensors` are those of every cell (K, …)."""
    first, second = _halves(hidden)
    first = first + _part("F", method, tensors, second, rows)
    second = second + _part("G", method, tensors, first, rows)
    return torch.cat([first, second], dim=1)


def inverse(method: Bottleneck, tensors: Mapping[str, Tensor], hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
    """(N, d) that `forward` makes `hidden` of."""
    first, second = _halves(hidden)
    second = second - _part("G", method, tensors, first, rows)
    first = first - _part("F", method, tensors, second, rows)
    return torch.cat([first, second], dim=1)


def _halves(hidden: Tensor) -> tuple[Tensor, Tensor]:
    half = hidden.shape[1] // 2
    return hidden[:, :half], hidden[:, half:]


def _part(
    part: str, method: Bottleneck, tensors: Mapping[str, Tensor], inputs: Tensor, rows: tuple[int, ...]
) -> Tensor:
    name = f"{PREFIX}{part}"
    inner = linear_by_cell(inputs, tensors[f"{name}.down.weight"], tensors[f"{name}.down.bias"], rows)
    inner = ACTIVATIONS[method.activation](inner)
    return linear_by_cell(inner, tensors[f"{name}.up.weight"], tensors[f"{name}.up.bias"], rows)
