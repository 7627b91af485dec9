"""Several trained adapters of one method made into one, by arithmetic on their named tensors.

Each method has its own arithmetic in the module its spec calls `merging_in`; here is what is common to all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.base import MethodSpec
from adapterx.methods.registry import ARITHMETIC

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Merging:
    """How adapters become one."""

    arithmetic: str
    """One of the method's `merges`, by name."""
    weights: tuple[float, ...] | None = None
    """One per member; equal where None: each 1 for arithmetic that `sums`, else 1 shared among the members."""
    density: float = 0.5
    """Share of the entries that sparse arithmetic keeps: `ties` the largest, `dare_*` random ones, scaled up."""

    @property
    def sums(self) -> bool:
        """Whether each weight is 1 by default."""
        return ARITHMETIC[self.arithmetic].sums


class MergingOf(Protocol):
    """What the module `merging_in` of a method has."""

    def merge(
        self,
        method: Any,
        members: Sequence[Tensors],
        weights: Sequence[float],
        merging: Merging,
        shape: Shape,
        seed: int,
    ) -> dict[str, Tensor]:
        """The tensors of the merged adapter.

        Args:
            method: of every member.
            weights: one per member.
            seed: of the members (what they started from) and of random masks.
        """
        ...

    def scaled_alike(self, methods: Sequence[Any], members: Sequence[Tensors]) -> list[dict[str, Tensor]]:
        """The tensors of members that differ in `sized_by`, with which the first method's scaling holds for each."""
        ...


def of_sizes(
    methods: Sequence[MethodSpec], members: Sequence[Tensors], merging: Merging
) -> tuple[MethodSpec, Sequence[Tensors]]:
    """What members become and their tensors to merge, where members differ in nothing but `sized_by`.

    ValueError for members that are scaled by 0.
    """
    first = methods[0]
    if all(one.model_dump(include={*first.sized_by}) == first.model_dump(include={*first.sized_by}) for one in methods):
        return merged_method(first, merging, len(members)), members
    arithmetic = cast(MergingOf, import_module(first.merging_in))
    try:
        alike = arithmetic.scaled_alike(methods, members)
    except ZeroDivisionError:
        raise ValueError("an adapter whose alpha is 0 adds nothing: leave it out") from None
    return first.of_sizes(methods, merging.arithmetic == "cat"), alike


def merged_method(method: MethodSpec, merging: Merging, members: int) -> MethodSpec:
    """The method of the merged adapter: `cat` adds up the ranks and leaves the scaling as it is."""
    return method.concatenated(members) if merging.arithmetic == "cat" else method


def merge(
    method: MethodSpec, members: Sequence[Tensors], merging: Merging, shape: Shape, seed: int
) -> dict[str, Tensor]:
    """The tensors of the merged adapter, of the method `merged_method` says.

    Args:
        method: of every member.
        seed: of the members (what they started from) and of DARE's masks.

    Raises ValueError for arithmetic that is not defined for the method, and for weights that are not one per member.
    """
    defined = [one.name for one in method.merges]
    if merging.arithmetic not in defined:
        raise ValueError(f"'{merging.arithmetic}' is not defined for {type(method).__name__}: {', '.join(defined)} are")
    weights = member_weights(merging, len(members))
    arithmetic = cast(MergingOf, import_module(method.merging_in))
    return arithmetic.merge(method, members, weights, merging, shape, seed)


def member_weights(merging: Merging, members: int) -> tuple[float, ...]:
    """One weight per member. ValueError where there are other than that many."""
    if merging.weights is None:
        return (1.0 if merging.sums else 1.0 / members,) * members
    if len(merging.weights) != members:
        raise ValueError(f"has {len(merging.weights)} weights for {members} members")
    return merging.weights


def joined(
    methods: Sequence[MethodSpec], members: Sequence[Tensors], shape: Shape
) -> tuple[MethodSpec, dict[str, Tensor]]:
    """One adapter that does what stacked ones do together, and its method.

    Raises ValueError where the method has no such thing, or these adapters have none.
    """
    arithmetic = import_module(methods[0].merging_in) if methods[0].merging_in else None
    join = getattr(arithmetic, "joined", None)
    if join is None or len({method.kind for method in methods}) > 1:
        raise ValueError(f"no single adapter does what stacked {methods[0].plural} do together")
    made: tuple[MethodSpec, dict[str, Tensor]] = join(methods, members, shape)
    return made


def weighted(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ w θᵢ."""
    return torch.stack([value * weight for value, weight in zip(values, weights, strict=True)]).sum(0)
