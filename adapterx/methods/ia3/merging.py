"""Several (IA)³ made into one: by their weighted sum, as `peft` 0.21 adds them, or by their product.

`peft.IA3Model.add_weighted_adapter` is Σ w l. Several active adapters multiply there, so that ∏ l with all weights 1 is
what they are together; another weight w takes the size of a factor to its power and keeps its sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.ia3.layers import parameters
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


def joined(
    methods: Sequence[Ia3], members: Sequence[Mapping[str, Tensor]], shape: Shape
) -> tuple[Ia3, dict[str, Tensor]]:
    """The one (IA)³ whose factors are the product of the members', 1 where a member has none.

    Raises ValueError where one member scales the inputs of a module whose outputs another scales.
    """
    modules = sorted({module for method in methods for module in method.target_modules})
    entered = sorted({module for method in methods for module in method.entered})
    layers = sorted({layer for method in methods for layer in method.adapted(shape.layers)})
    for module in entered:
        if any(module in one.target_modules and module not in one.entered for one in methods):
            raise ValueError(f"one (IA)³ scales the inputs of {module}, another its outputs: no single one does both")
    # Not validated, as what is read from files.
    method = Ia3.model_construct(
        target_modules=tuple(modules),
        feedforward_modules=tuple(entered),
        layers="all" if len(layers) == shape.layers else tuple(layers),
    )
    tensors = {}
    for one in parameters(method, shape):
        factors = [own[one.name].float() for own in members if one.name in own]
        tensors[one.name] = torch.stack(factors or [torch.ones(one.shape)]).prod(0)
    return method, tensors


def _product(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    powers = [value.sign() * value.abs().pow(weight) for value, weight in zip(values, weights, strict=True)]
    return torch.stack(powers).prod(0)
