"""From a method to its parameters and to the adapters that use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from adapterx.backbones.packed import Adapters
from adapterx.methods import bottleneck, lora
from adapterx.methods.config import Lora, Method
from adapterx.methods.parameters import Parameter
from adapterx.methods.rows import CellDropout
from adapterx.methods.shape import Shape


def parameters(method: Method, shape: Shape) -> list[Parameter]:
    """The adapter tensors of one cell."""
    return lora.parameters(method, shape) if isinstance(method, Lora) else bottleneck.parameters(method, shape)


def adapters(method: Method, slots: Sequence[Mapping[str, Tensor]], dropout: CellDropout) -> Adapters:
    """The adapters of K cells over stacked tensors (K, …), one mapping per active adapter, the lowest first."""
    if isinstance(method, Lora):
        return lora.LoraAdapters(method, slots, dropout)
    return bottleneck.BottleneckAdapters(method, slots, dropout)
