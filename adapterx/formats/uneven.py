"""Adapters whose rank or width differs from place to place, as one of the largest: what a place lacks is zero.

Rows of A and columns of B that are zero add nothing, nor does a feature of a bottleneck that nothing goes out from. In
training they stay zero, as either factor of their product has a gradient of zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adapterx.backbones.shape import Encoder
from adapterx.formats.adapter import expected
from adapterx.methods.base import MethodSpec
from adapterx.methods.meant import Meant


def stored_shapes(meant: Meant, encoder: Encoder) -> dict[str, tuple[int, ...]]:
    """By the method's own names, the tensors that an adapter has in its file."""
    whole = {one.name: one.shape for one in expected(meant.method, encoder.shape)}
    if not meant.places:
        return whole
    methods = {one.model_dump_json(): one for one in meant.places.values()}
    sized = {key: {one.name: one.shape for one in expected(method, encoder.shape)} for key, method in methods.items()}
    return {name: sized[at.model_dump_json()][name] for name in whole if (at := _at(meant, name)) is not None}


def _at(meant: Meant, name: str) -> MethodSpec | None:
    return next((method for stem, method in meant.places.items() if name.startswith(f"{stem}.")), None)


def whole(meant: Meant, tensors: Mapping[str, Tensor], encoder: Encoder) -> dict[str, Tensor]:
    """The tensors of the method, of those that `stored_shapes` names."""
    if not meant.places and not meant.factors:
        return dict(tensors)
    return {
        one.name: _padded(tensors.get(one.name), one.shape) * meant.factors.get(one.name, 1.0)
        for one in expected(meant.method, encoder.shape)
    }


def _padded(tensor: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """The tensor at the beginning of one of this shape, zeros behind it."""
    found = torch.zeros(shape)
    if tensor is not None:
        found[tuple(slice(size) for size in tensor.shape)] = tensor
    return found
