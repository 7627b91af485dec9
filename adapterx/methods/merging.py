"""Several trained adapters of one method made into one, by arithmetic on their named tensors.

What is defined for LoRA equals `peft.LoraModel.add_weighted_adapter` (peft 0.21): TIES is Yadav et al. 2023
(2306.01708), DARE Yu et al. 2024 (2311.03099). peft gives the merged adapter the scaling 1 and puts the members'
alpha / rank into its tensors; here the scaling stays outside, so that the update is the same and training can go on.
For bottlenecks: the mean of parameters (Wortsman et al. 2022, 2203.05482), and task arithmetic (Ilharco et al. 2023,
2212.04089).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from adapterx.methods.config import Bottleneck, Lora, Method
from adapterx.methods.method import parameters
from adapterx.methods.parameters import initial, stream
from adapterx.methods.shape import Shape

Arithmetic: TypeAlias = Literal[
    "linear", "ties", "dare_linear", "dare_ties", "svd", "cat", "average", "task_arithmetic"
]
FOR_LORA: tuple[Arithmetic, ...] = ("linear", "ties", "dare_linear", "dare_ties", "svd", "cat")
FOR_BOTTLENECKS: tuple[Arithmetic, ...] = ("average", "task_arithmetic")
SUMS: tuple[Arithmetic, ...] = ("ties", "dare_ties", "task_arithmetic")
"""Whose weights are 1 by default: the first two take a mean already. All others share 1 among the members."""

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Merging:
    """How adapters become one."""

    arithmetic: Arithmetic
    weights: tuple[float, ...] | None = None
    """One per member; equal where None (see SUMS)."""
    density: float = 0.5
    """Share of the entries that `ties` (the largest) and `dare_*` (random ones, scaled up) keep."""


def merged_method(method: Method, merging: Merging, members: int) -> Method:
    """The method of the merged adapter: `cat` adds up the ranks and leaves the scaling alpha / rank as it is."""
    if merging.arithmetic == "cat" and isinstance(method, Lora):
        return replace(method, rank=members * method.rank, alpha=members * method.alpha)
    return method


def merge(method: Method, members: Sequence[Tensors], merging: Merging, shape: Shape, seed: int) -> dict[str, Tensor]:
    """The tensors of the merged adapter, of the method `merged_method` says.

    Args:
        method: of every member.
        seed: of the members (what they started from) and of DARE's masks.

    Raises ValueError for arithmetic that is not defined for the method, and for weights that are not one per member.
    """
    defined = FOR_LORA if isinstance(method, Lora) else FOR_BOTTLENECKS if isinstance(method, Bottleneck) else ()
    if merging.arithmetic not in defined:
        raise ValueError(f"'{merging.arithmetic}' is not defined for {type(method).__name__}: {', '.join(defined)} are")
    weights = member_weights(merging, len(members))
    if isinstance(method, Bottleneck):
        start = initial(parameters(method, shape), seed) if merging.arithmetic == "task_arithmetic" else None
        return _bottlenecks(members, weights, start)
    merged: dict[str, Tensor] = {}
    for name in members[0]:
        if name.endswith("lora_A"):
            other = f"{name.removesuffix('lora_A')}lora_B"
            a, b = ([tensors[key].float() for tensors in members] for key in (name, other))
            merged[name], merged[other] = _lora(a, b, weights, merging, seed, name)
    return merged


def member_weights(merging: Merging, members: int) -> tuple[float, ...]:
    """One weight per member. ValueError where there are other than that many."""
    if merging.weights is None:
        return (1.0 if merging.arithmetic in SUMS else 1.0 / members,) * members
    if len(merging.weights) != members:
        raise ValueError(f"has {len(merging.weights)} weights for {members} members")
    return merging.weights


def _bottlenecks(members: Sequence[Tensors], weights: Sequence[float], start: Tensors | None) -> dict[str, Tensor]:
    """Σ w θᵢ, or θ₀ + Σ w (θᵢ - θ₀) where the members started from θ₀."""
    found = {}
    for name in members[0]:
        values = [tensors[name].float() for tensors in members]
        if start is None:
            found[name] = _weighted(values, weights)
        else:
            found[name] = start[name] + _weighted([value - start[name] for value in values], weights)
    return found


def _lora(
    a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[float], merging: Merging, seed: int, name: str
) -> tuple[Tensor, Tensor]:
    """A (r, in) and B (out, r) of one linear layer."""
    if merging.arithmetic == "cat":
        return torch.cat([one * weight for one, weight in zip(a, weights, strict=True)]), torch.cat(list(b), dim=1)
    if merging.arithmetic == "svd":
        update = _weighted([up @ down for up, down in zip(b, a, strict=True)], weights)
        left, values, right = torch.linalg.svd(update, full_matrices=False)
        rank = a[0].shape[0]
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
    return _elected(values, weights) if merging.arithmetic.endswith("ties") else _weighted(values, weights)


def _weighted(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    return torch.stack([value * weight for value, weight in zip(values, weights, strict=True)]).sum(0)


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
    return _weighted(list(stacked * agreed), weights) / agreed.sum(0).clamp(min=1)
