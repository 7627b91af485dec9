"""From a method to its parameters and to the adapters that use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from adapterx.backbones.walk import Adapters, Unadapted
from adapterx.methods import bottleneck, full, fusion, lora
from adapterx.methods.config import Bottleneck, Full, Fusion, HeadOnly, Library, Lora, Method, lowest_adapted
from adapterx.methods.parameters import Parameter
from adapterx.methods.rows import CellDropout
from adapterx.methods.shape import Shape


@dataclass(frozen=True)
class Slot:
    """One active adapter: what it is, and its tensors; those of K cells are stacked (K, …)."""

    method: Method
    tensors: Mapping[str, Tensor]


def parameters(method: Method, shape: Shape) -> list[Parameter]:
    """The adapter tensors of one cell; of `full`, the encoder's own."""
    if isinstance(method, Full):
        return full.parameters(shape)
    if isinstance(method, HeadOnly):
        return []
    if isinstance(method, Fusion):
        return fusion.parameters(method, shape)
    if isinstance(method, Library):
        raise ValueError(f"what `{method.library}` makes is trained in the reference lane alone")
    return lora.parameters(method, shape) if isinstance(method, Lora) else bottleneck.parameters(method, shape)


def adapters(slots: Sequence[Slot], dropout: CellDropout) -> Adapters:
    """The adapters of K cells over stacked tensors (K, …), the lowest first. ValueError for kinds that do not mix.

    Args:
        dropout: of the last slot, the one in training.
    """
    if not slots or isinstance(slots[-1].method, Full | HeadOnly):
        return Unadapted()
    loras = [(slot.method, slot.tensors) for slot in slots if isinstance(slot.method, Lora)]
    bottlenecks = [(slot.method, slot.tensors) for slot in slots if isinstance(slot.method, Bottleneck)]
    if len(loras) == len(slots):
        return lora.LoraAdapters(loras, dropout)
    if isinstance(slots[-1].method, Fusion) and not loras:
        return fusion.FusedAdapters(bottlenecks, slots[-1].tensors)
    if len(bottlenecks) == len(slots):
        return bottleneck.BottleneckAdapters(bottlenecks, dropout)
    kinds = " and ".join(sorted({type(slot.method).__name__ for slot in slots}))
    raise ValueError(f"adapters of different kinds cannot be stacked: {kinds}")


def lowest_layer(slots: Sequence[Slot], depth: int) -> int:
    """The lowest layer of an encoder `depth` deep that any of the adapters changes."""
    return min((lowest_adapted(slot.method, depth) for slot in slots), default=0)
