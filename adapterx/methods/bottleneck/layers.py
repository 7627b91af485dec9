"""Bottleneck adapters for many cells at once, in the three placements of AdapterHub's `adapters`.

sequential   `seq_bn`         one adapter after the feed-forward, fed LN(f + h) (Pfeiffer et al. 2021, 2005.00247)
double       `double_seq_bn`  after attention and after the feed-forward, fed f (Houlsby et al. 2019, 1902.00751)
parallel     `par_bn`         beside the feed-forward, fed its input h (He et al. 2022, 2110.04366)

f is the sublayer's output, h its residual input. In every placement the adapter's output is added to f, and the
layer's own norm closes the sublayer; a pre-LN layer has no norm there, and leaves it out both times. The order of
residuals and norms follows `adapters/methods/{bottleneck,modeling}.py` at 1.3.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from adapterx.backbones.forward_pass import Unadapted
from adapterx.backbones.modules import Module, Place
from adapterx.backbones.residual import add_norm
from adapterx.backbones.shape import Shape
from adapterx.methods.bottleneck import invertible
from adapterx.methods.bottleneck.activations import ACTIVATIONS
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.method import Slot
from adapterx.methods.parameters import Initialiser, Parameter, kaiming_uniform, normal, zeros
from adapterx.methods.rows import CellDropout, linear_by_cell


def parameters(method: Bottleneck, shape: Shape) -> list[Parameter]:
    """Down (b, d), up (d, b) and their biases for every place, and the invertible adapter's if it has one.

    The parallel placement starts at the backbone (up = 0), the others near it (standard deviation 0.02).
    """
    inside = method.inside(shape.hidden)
    down: Initialiser = normal(0.02)
    up: Initialiser = normal(0.02)
    if method.placement == "parallel":
        down, up = kaiming_uniform, zeros
    found = invertible.parameters(method, shape)
    for layer in method.adapted(shape.layers):
        for place in method.sites:
            start = name(layer, place)
            found.append(Parameter(f"{start}.down.weight", (inside, shape.hidden), down))
            found.append(Parameter(f"{start}.down.bias", (inside,), zeros, decays=False))
            found.append(Parameter(f"{start}.up.weight", (shape.hidden, inside), up))
            found.append(Parameter(f"{start}.up.bias", (shape.hidden,), zeros, decays=False))
    return found


def name(layer: int, place: Module | Place) -> str:
    """What the tensors of the adapter at this place begin with."""
    module = {"attention": "attention.output", "output": "output"}.get(place, place)
    return f"encoder.layer.{layer}.{module}.adapter"


def adapters(slots: Sequence[Slot], dropout: CellDropout) -> BottleneckAdapters:
    """The bottleneck adapters of K cells, each upon the one below."""
    return BottleneckAdapters([(cast(Bottleneck, slot.method), slot.tensors) for slot in slots], dropout)


class BottleneckAdapters(Unadapted):
    """The bottleneck adapters of K cells.

    Args:
        slots: method and stacked tensors (K, …) of each active adapter, the lowest first: each receives what the
            one below leaves. Parallel adapters share their input, and their outputs add.
        dropout: applied to the output of the last slot, the one in training.
    """

    def __init__(self, slots: Sequence[tuple[Bottleneck, Mapping[str, Tensor]]], dropout: CellDropout) -> None:
        self.slots = tuple(slots)
        self.dropout = dropout

    def adapts(self, layer: int, places: Sequence[Module | Place]) -> bool:
        return any(self._adapts(layer, place) for place in places)

    def changes(self, layer: int, modules: Sequence[Module]) -> bool:
        return False  # what sits at the place "output" is behind the layer of that name

    def _adapts(self, layer: int, place: Module | Place) -> bool:
        return any(_sits(tensors, layer, place) for _, tensors in self.slots)

    @property
    def embeds(self) -> bool:
        return any(method.invertible is not None for method, _ in self.slots)

    def embedding(self, hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
        for method, tensors in self.slots:
            if method.invertible is not None:
                hidden = invertible.forward(method, tensors, hidden, rows)
        return hidden

    def unembedding(self, hidden: Tensor, rows: tuple[int, ...]) -> Tensor:
        for method, tensors in reversed(self.slots):
            if method.invertible is not None:
                hidden = invertible.inverse(method, tensors, hidden, rows)
        return hidden

    def residual(
        self, layer: int, place: Place, update: Tensor, residual: Tensor, norm: nn.Module | None, rows: tuple[int, ...]
    ) -> Tensor:
        left_out = self.dropout.left_out(layer)
        for slot, (method, tensors) in enumerate(self.slots):
            trained = slot == len(self.slots) - 1
            if not _sits(tensors, layer, place) or (trained and all(left_out)):
                continue
            read = inputs(method, update, residual, norm)
            if method.scaling == 1.0 and not (trained and (self.dropout.drops or any(left_out))):
                update = change(method, tensors, name(layer, place), read, rows, update)
                continue
            added = change(method, tensors, name(layer, place), read, rows)
            if trained:
                added = self.dropout(added, rows, f"{layer}.{place}")
                added = self.dropout.without(left_out, added, rows)
            update = update + added
        return super().residual(layer, place, update, residual, norm, rows)


def inputs(method: Bottleneck, update: Tensor, residual: Tensor, norm: nn.Module | None) -> Tensor:
    """What an adapter reads (N, d), of a sublayer's output and its residual input."""
    if method.placement == "parallel":
        return residual
    if method.placement == "double":
        return update
    return update + residual if norm is None else add_norm(update, residual, norm)


def _sits(tensors: Mapping[str, Tensor], layer: int, place: Module | Place) -> bool:
    """Whether an adapter with these tensors sits at this place."""
    return f"{name(layer, place)}.down.weight" in tensors


def change(
    method: Bottleneck,
    tensors: Mapping[str, Tensor],
    name: str,
    inputs: Tensor,
    rows: tuple[int, ...],
    base: Tensor | None = None,
) -> Tensor:
    """What one adapter adds, (N, d); added to `base` where that is given and nothing scales it."""
    inner = linear_by_cell(inputs, tensors[f"{name}.down.weight"], tensors[f"{name}.down.bias"], rows)
    inner = ACTIVATIONS[method.activation](inner)
    outer = linear_by_cell(inner, tensors[f"{name}.up.weight"], tensors[f"{name}.up.bias"], rows, base)
    return outer if method.scaling == 1.0 else outer * method.scaling
