"""From a method to its parameters and to the adapters that use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from torch import Tensor

from adapterx.backbones.forward_pass import Adapters, Unadapted
from adapterx.backbones.shape import Shape
from adapterx.methods.base import MethodSpec
from adapterx.methods.parameters import Parameter
from adapterx.methods.rows import CellDropout


@dataclass(frozen=True)
class Slot:
    """One active adapter: what it is, and its tensors; those of K cells are stacked (K, …)."""

    method: MethodSpec
    tensors: Mapping[str, Tensor]


class Layers(Protocol):
    """What the module `layers_in` of a method has."""

    def parameters(self, method: Any, shape: Shape) -> list[Parameter]:
        """The adapter tensors of one cell, by the encoder's own names."""
        ...

    def adapters(self, slots: Sequence[Slot], dropout: CellDropout) -> Adapters:
        """The adapters of K cells, all of this method but where it mixes others', the lowest first.

        Args:
            dropout: of the last slot, the one in training.

        A method that leaves the encoder's layers as they are has no such function.
        """
        ...


def layers_of(method: MethodSpec) -> Layers:
    """The parameters and forward pass of a method; ValueError for one that a library alone has."""
    if not method.layers_in:
        raise ValueError(f"what `{method.library}` makes is trained in the reference lane alone")
    return cast(Layers, import_module(method.layers_in))


def parameters(method: MethodSpec, shape: Shape) -> list[Parameter]:
    """The adapter tensors of one cell; of `full`, the encoder's own."""
    return layers_of(method).parameters(method, shape)


def adapters(slots: Sequence[Slot], dropout: CellDropout) -> Adapters:
    """The adapters of K cells over stacked tensors (K, …), the lowest first. ValueError for kinds that do not mix.

    Args:
        dropout: of the last slot, the one in training.
    """
    if not slots or not hasattr(layers_of(slots[-1].method), "adapters"):
        return Unadapted()
    last = slots[-1].method
    alike = slots[:-1] if last.mixed else slots
    if len({type(one) for one in (*last.mixed, *(slot.method for slot in alike))}) > 1:
        names = " and ".join(sorted({type(slot.method).__name__ for slot in slots}))
        raise ValueError(f"adapters of different kinds cannot be stacked: {names}")
    return layers_of(last).adapters(slots, dropout)


def lowest_layer(slots: Sequence[Slot], depth: int) -> int:
    """The lowest layer of an encoder `depth` deep that any of the adapters changes."""
    return min((slot.method.lowest_layer(depth) for slot in slots), default=0)
