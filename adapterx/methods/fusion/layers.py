"""AdapterFusion for many cells at once (Pfeiffer et al. 2021, arXiv 2005.00247), as AdapterHub's `dynamic` fusion.

With x the members' input, f the sublayer's output and uᵢ what member i would add to f:

    f + V Σᵢ softmaxᵢ((Q x + q) · (K uᵢ + k)) uᵢ

The library computes K uᵢ and V uᵢ for every member; products are linear, so here Kᵀ meets the query and V the mean, one
product each for any number of members. A key's bias k adds the same to every score, which softmax does not see. Where
the members are parallel, the library adds the residual once more to the mixture; so it is here, since what was trained
with it must act with it. Its dropout on the scores and its penalty on V are training aids of its own, left out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from adapterx.backbones.forward_pass import Unadapted
from adapterx.backbones.modules import Module, Place
from adapterx.backbones.shape import Shape
from adapterx.methods.bottleneck import layers as bottleneck
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.method import Slot
from adapterx.methods.parameters import Parameter, normal, zeros
from adapterx.methods.rows import CellDropout, linear_by_cell

_NOISE = 1e-6


def parameters(method: Fusion, shape: Shape) -> list[Parameter]:
    """Query, key (d, d) with biases, and value (d, d), at every place of the members. The value starts at the identity.

    With a `value_rank` r the value is I + B A: `value.lora_A` (r, d), and `value.lora_B` (d, r) that starts at zero.
    """
    d, found = shape.hidden, []
    for layer in method.adapted(shape.layers):
        for place in method.sites:
            name = _name(layer, place)
            for part in ("query", "key"):
                found.append(Parameter(f"{name}.{part}.weight", (d, d), normal(0.02)))
                found.append(Parameter(f"{name}.{part}.bias", (d,), zeros, decays=False))
            if method.value_rank is None:
                found.append(Parameter(f"{name}.value.weight", (d, d), _near_identity))
            else:
                found.append(Parameter(f"{name}.value.lora_A", (method.value_rank, d), normal(0.02)))
                found.append(Parameter(f"{name}.value.lora_B", (d, method.value_rank), zeros))
    return found


def with_full_value(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same fusion of one cell with each low-rank value I + B A written out as `value.weight` (d, d)."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(".value.lora_A"):
            start = name.removesuffix("lora_A")
            product = tensors[f"{start}lora_B"] @ tensor
            found[f"{start}weight"] = torch.eye(len(product), dtype=product.dtype) + product
        elif not name.endswith(".value.lora_B"):
            found[name] = tensor
    return found


def _near_identity(tensor: Tensor, generator: torch.Generator) -> object:
    """1 on the diagonal and 1e-6 elsewhere, as upstream starts it."""
    return tensor.fill_(_NOISE).fill_diagonal_(1.0)


def _name(layer: int, place: Module | Place) -> str:
    return bottleneck.name(layer, place).removesuffix("adapter") + "fusion"


def adapters(slots: Sequence[Slot], dropout: CellDropout) -> FusedAdapters:
    """Attention over the adapters in all slots but the last, which has the fusion's own tensors."""
    members = [(cast(Bottleneck, slot.method), slot.tensors) for slot in slots[:-1]]
    return FusedAdapters(members, slots[-1].tensors)


class FusedAdapters(Unadapted):
    """Attention over the frozen members of K cells.

    Args:
        members: method and stacked tensors (K, …) of each; equal placements and layers.
        tensors: the fusion's own (K, …).
    """

    def __init__(
        self, members: Sequence[tuple[Bottleneck, Mapping[str, Tensor]]], tensors: Mapping[str, Tensor]
    ) -> None:
        self.members = tuple(members)
        self.tensors = tensors

    def adapts(self, layer: int, places: Sequence[Module | Place]) -> bool:
        return any(self._fuses(layer, place) for place in places)

    def changes(self, layer: int, modules: Sequence[Module]) -> bool:
        return False

    def _fuses(self, layer: int, place: Module | Place) -> bool:
        return f"{_name(layer, place)}.query.weight" in self.tensors

    def residual(
        self, layer: int, place: Place, update: Tensor, residual: Tensor, norm: nn.Module | None, rows: tuple[int, ...]
    ) -> Tensor:
        if self._fuses(layer, place):
            inputs = bottleneck.inputs(self.members[0][0], update, residual, norm)
            adapter = bottleneck.name(layer, place)
            changes = [bottleneck.change(method, own, adapter, inputs, rows) for method, own in self.members]
            update = update + self._fused(_name(layer, place), inputs, changes, rows)
            if self.members[0][0].placement == "parallel":
                update = update + residual  # the library adds it to the mixture, and the layer adds it again
        return super().residual(layer, place, update, residual, norm, rows)

    def _fused(self, name: str, inputs: Tensor, changes: Sequence[Tensor], rows: tuple[int, ...]) -> Tensor:
        """(N, d) from what each member would add."""
        query = linear_by_cell(inputs, self.tensors[f"{name}.query.weight"], self.tensors[f"{name}.query.bias"], rows)
        asked = linear_by_cell(query, self.tensors[f"{name}.key.weight"].transpose(1, 2), None, rows)
        outputs = torch.stack(list(changes))
        scores = (outputs * asked).sum(2, dtype=torch.promote_types(inputs.dtype, torch.float32))
        mean = (outputs * scores.softmax(0).to(inputs.dtype)[:, :, None]).sum(0)
        if f"{name}.value.weight" in self.tensors:
            return linear_by_cell(mean, self.tensors[f"{name}.value.weight"], None, rows)
        low = linear_by_cell(mean, self.tensors[f"{name}.value.lora_A"], None, rows)
        return mean + linear_by_cell(low, self.tensors[f"{name}.value.lora_B"], None, rows)
