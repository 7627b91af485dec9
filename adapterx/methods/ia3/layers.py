"""(IA)³ for many cells at once, multiplied when stacked, as in `peft`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from adapterx.backbones.forward_pass import Unadapted
from adapterx.backbones.modules import MODULE_PATH, Module, Place
from adapterx.backbones.shape import Shape
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.method import Slot
from adapterx.methods.parameters import Parameter, ones
from adapterx.methods.rows import CellDropout, alike


def parameters(method: Ia3, shape: Shape) -> list[Parameter]:
    """Factors (out, 1) or, where inputs are scaled, (1, in), all one at first, so that training starts at the backbone.

    Names and shapes are those of `peft`. They decay as the matrices that trainers take them for.
    """
    found = []
    for layer in method.adapted(shape.layers):
        for module in method.target_modules:
            wide_in, wide_out = shape.widths(module)
            size = (1, wide_in) if module in method.entered else (wide_out, 1)
            found.append(Parameter(_name(layer, module), size, ones))
    return found


def _name(layer: int, module: Module) -> str:
    return f"encoder.layer.{layer}.{MODULE_PATH[module]}.ia3_l"


def adapters(slots: Sequence[Slot], dropout: CellDropout) -> Ia3Adapters:
    """The factors of K cells, those of all slots multiplied."""
    return Ia3Adapters([(cast(Ia3, slot.method), slot.tensors) for slot in slots])


class Ia3Adapters(Unadapted):
    """The factors of K cells.

    Args:
        slots: method and stacked tensors (K, …) of each active adapter.
    """

    def __init__(self, slots: Sequence[tuple[Ia3, Mapping[str, Tensor]]]) -> None:
        self.slots = tuple(slots)

    @property
    def rescales(self) -> bool:
        return True

    def adapts(self, layer: int, places: Sequence[Module | Place]) -> bool:
        return any(self._factors(layer, place, inputs) for place in places for inputs in (False, True))

    def enters(self, layer: int, module: Module) -> bool:
        return bool(self._factors(layer, module, inputs=True))

    def entering(self, layer: int, module: Module, inputs: Tensor, rows: tuple[int, ...]) -> Tensor:
        factors = self._factors(layer, module, inputs=True)
        return _scaled(inputs, _product(factors), rows) if factors else inputs

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        found = [self._factors(layer, module, inputs=False) for module in modules]
        if not any(found):
            return outputs
        width = outputs.shape[1] // len(modules)
        whole = [_product(factors) if factors else outputs.new_ones(len(rows), width) for factors in found]
        return _scaled(outputs, torch.cat([factor.to(outputs.dtype) for factor in whole], dim=1), rows)

    def _factors(self, layer: int, place: Module | Place, inputs: bool) -> list[Tensor]:
        """(K, features) of each slot that scales this module's inputs, or its outputs."""
        if place not in MODULE_PATH:
            return []
        name = _name(layer, place)
        return [
            tensors[name].flatten(1)
            for method, tensors in self.slots
            if name in tensors and (place in method.entered) == inputs
        ]


def _product(factors: Sequence[Tensor]) -> Tensor:
    found = factors[0]
    for factor in factors[1:]:
        found = found * factor
    return found


def _scaled(values: Tensor, factors: Tensor, rows: tuple[int, ...]) -> Tensor:
    """(N, features) values, each cell's by its own (K, features) factors."""
    factors = factors.to(values.dtype)
    if alike(rows):
        return (values.view(len(rows), rows[0], -1) * factors[:, None]).flatten(0, 1)
    parts = [part * factors[cell] for cell, part in enumerate(torch.split(values, list(rows)))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
