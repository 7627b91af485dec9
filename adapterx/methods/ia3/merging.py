"""Several (IA)³ made into one: by their weighted sum, as `peft` 0.21 adds them, or by their product.

`peft.IA3Model.add_weighted_adapter` is Σ w l. Several active adapters multiply there, so that ∏ l with all weights 1 is
what they are together; another weight w takes the size of a factor to its power and keeps its sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.merging import Merging, weighted


def merge(
    method: Ia3,
    members: Sequence[Mapping[str, Tensor]],
    weights: Sequence[float],
    merging: Merging,
    shape: Shape,
    seed: int,
) -> dict[str, Tensor]:
    """The factors of every module; `adapterx.methods.merging.MergingOf` says what is given."""
    found = {}
    for name in members[0]:
        values = [tensors[name].float() for tensors in members]
        found[name] = _product(values, weights) if merging.arithmetic == "product" else weighted(values, weights)
    return found


def _product(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    powers = [value.sign() * value.abs().pow(weight) for value, weight in zip(values, weights, strict=True)]
    return torch.stack(powers).prod(0)
