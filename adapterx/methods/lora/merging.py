"""Several LoRA made into one, as `peft.LoraModel.add_weighted_adapter` (peft 0.21) does.

TIES is Yadav et al. 2023 (2306.01708), DARE Yu et al. 2024 (2311.03099). peft gives the merged adapter the scaling 1
and puts the members' alpha / rank into its tensors; here the scaling stays outside, so that the update is the same and
training can go on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.lora.layers import parameters
from adapterx.methods.lora.spec import Lora
from adapterx.methods.merging import Merging, weighted
from adapterx.methods.parameters import stream


def merge(
    method: Lora,
    members: Sequence[Mapping[str, Tensor]],
    weights: Sequence[float],
    merging: Merging,
    shape: Shape,
    seed: int,
) -> dict[str, Tensor]:
    """A (r, in) and B (out, r) of every layer; `adapterx.methods.merging.MergingOf` says what is given."""
    merged: dict[str, Tensor] = {}
    for name in members[0]:
        if name.endswith("lora_A"):
            other = f"{name.removesuffix('lora_A')}lora_B"
            a, b = ([tensors[key].float() for tensors in members] for key in (name, other))
            merged[name], merged[other] = _lora(a, b, weights, merging, seed, name)
    return merged


def scaled_alike(methods: Sequence[Lora], members: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
    """The tensors of members, with which the scaling of the first one holds for each."""
    factors = [one.scaling / methods[0].scaling for one in methods]
    return [
        {name: tensor * (factor if name.endswith("lora_B") else 1.0) for name, tensor in tensors.items()}
        for factor, tensors in zip(factors, members, strict=True)
    ]


def joined(
    methods: Sequence[Lora], members: Sequence[Mapping[str, Tensor]], shape: Shape
) -> tuple[Lora, dict[str, Tensor]]:
    """The one LoRA whose update is the sum of the members': matrices side by side, zeros where a member has none.

    Its rank is the sum of theirs, its scaling 1.
    """
    modules = sorted({module for method in methods for module in method.target_modules})
    layers = sorted({layer for method in methods for layer in method.adapted(shape.layers)})
    rank = sum(method.rank for method in methods)
    # Not validated: its rank may be beyond what a recipe may ask for.
    method = Lora.model_construct(
        rank=rank,
        alpha=float(rank),
        target_modules=tuple(modules),
        layers="all" if len(layers) == shape.layers else tuple(layers),
    )
    tensors = {}
    for one in parameters(method, shape):
        down, parts = one.name.endswith("lora_A"), []
        for spec, own in zip(methods, members, strict=True):
            tensor = own.get(one.name)
            if tensor is None:
                tensor = torch.zeros(spec.rank, one.shape[1]) if down else torch.zeros(one.shape[0], spec.rank)
            parts.append(tensor.float() * (spec.plain_alpha / spec.rank if down else 1.0))
        tensors[one.name] = torch.cat(parts, dim=0 if down else 1)
    return method, tensors


def _lora(
    a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[float], merging: Merging, seed: int, name: str
) -> tuple[Tensor, Tensor]:
    """A (r, in) and B (out, r) of one linear layer."""
    if merging.arithmetic == "cat":
        return torch.cat([one * weight for one, weight in zip(a, weights, strict=True)]), torch.cat(list(b), dim=1)
    if merging.arithmetic == "svd":
        update = weighted([up @ down for up, down in zip(b, a, strict=True)], weights)
        left, values, right = torch.linalg.svd(update, full_matrices=False)
        rank = max(len(one) for one in a)
        if len(values) < rank:  # a layer narrower than the rank
            padding = rank - len(values)
            left, right = (
                torch.nn.functional.pad(left, (0, padding)),
                torch.nn.functional.pad(right, (0, 0, 0, padding)),
            )
            values = torch.nn.functional.pad(values, (0, padding))
        return right[:rank].contiguous(), (left * values)[:, :rank].contiguous()
    # The root of a weight on either side, its sign on one: products of a member with itself then bear the weight.
    roots = [math.sqrt(abs(weight)) for weight in weights]
    signed = [math.copysign(root, weight) for root, weight in zip(roots, weights, strict=True)]
    return _sided(a, signed, merging, seed, f"{name} A"), _sided(b, roots, merging, seed, f"{name} B")


def _sided(values: Sequence[Tensor], weights: Sequence[float], merging: Merging, seed: int, place: str) -> Tensor:
    """The A or the B matrices of one layer as one."""
    if merging.arithmetic == "ties":
        values = [_largest(value, merging.density) for value in values]
    elif merging.arithmetic.startswith("dare"):
        keys = [stream("merge", seed, place, member) for member in range(len(values))]
        values = [_dropped(value, merging.density, key) for value, key in zip(values, keys, strict=True)]
    return _elected(values, weights) if merging.arithmetic.endswith("ties") else weighted(values, weights)


def _largest(value: Tensor, density: float) -> Tensor:
    """The entries largest in magnitude, zeros elsewhere."""
    if density >= 1.0:
        return value
    kept = torch.zeros(value.numel(), dtype=value.dtype)
    kept[torch.topk(value.abs().flatten(), int(density * value.numel())).indices] = 1.0
    return value * kept.view_as(value)


def _dropped(value: Tensor, density: float, key: int) -> Tensor:
    """Random entries, scaled by 1 / density, zeros elsewhere."""
    if density >= 1.0:
        return value
    kept = torch.rand(value.shape, generator=torch.Generator().manual_seed(key)) < density
    return value * kept / density


def _elected(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """TIES: entry by entry the weighted mean of those that agree with the sign of the sum."""
    stacked = torch.stack(list(values))
    agreed = stacked.sign() == torch.where(stacked.sum(0) >= 0, 1.0, -1.0)
    return weighted(list(stacked * agreed), weights) / agreed.sum(0).clamp(min=1)
