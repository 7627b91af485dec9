"""LoRA (Hu et al. 2022, arXiv 2106.09685) for many cells at once, additive when stacked, as in `peft`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import torch
from torch import Tensor

from adapterx.backbones.forward_pass import Unadapted
from adapterx.backbones.modules import MODULE_PATH, Module, Place
from adapterx.backbones.products import InputProduct, Product
from adapterx.backbones.shape import Shape
from adapterx.kernels import choice
from adapterx.kernels.choice import KernelFailed
from adapterx.kernels.tiles import Deltas, RowTiles, by_library, tiles_of
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.methods.parameters import Parameter, gradient_place, kaiming_uniform, zeros
from adapterx.methods.rows import CellDropout, alike, linear_by_cell


def parameters(method: Lora, shape: Shape) -> list[Parameter]:
    """A (rank, in) and B (out, rank) for each target of each layer; B starts at zero, so training starts at the
    backbone. Names are the module's path in the encoder with `.lora_A` and `.lora_B`."""
    found = []
    for layer in method.adapted(shape.layers):
        for module in method.target_modules:
            wide_in, wide_out = shape.widths(module)
            found.append(Parameter(_name(layer, module, "A"), (method.rank, wide_in), kaiming_uniform))
            found.append(Parameter(_name(layer, module, "B"), (wide_out, method.rank), zeros))
    return found


def _name(layer: int, module: Module, matrix: str) -> str:
    return f"encoder.layer.{layer}.{MODULE_PATH[module]}.lora_{matrix}"


def adapters(slots: Sequence[Slot], dropout: CellDropout) -> LoraAdapters:
    """The LoRA deltas of K cells, all slots added up."""
    return LoraAdapters([(cast(Lora, slot.method), slot.tensors) for slot in slots], dropout)


class LoraAdapters(Unadapted):
    """The LoRA deltas of K cells.

    Args:
        slots: method and stacked tensors (K, …) of each active adapter. Several slots add their deltas:
            W x + s₁ B₁ A₁ x + s₂ B₂ A₂ x. Slots whose tensors do not require a gradient stay as they are.
        dropout: applied to the input of the last slot, the one in training.
    """

    def __init__(self, slots: Sequence[tuple[Lora, Mapping[str, Tensor]]], dropout: CellDropout) -> None:
        self.slots = tuple(slots)
        self.dropout = dropout

    def adapts(self, layer: int, places: Sequence[Module | Place]) -> bool:
        return any(self._adapts(layer, place) for place in places)

    def _adapts(self, layer: int, place: Module | Place) -> bool:
        return place in MODULE_PATH and any(_name(layer, place, "A") in tensors for _, tensors in self.slots)

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        width = outputs.shape[1] // len(modules)
        if tiles_of(rows) is not None and choice.runs("lora", outputs.device):
            return self._added(layer, modules, inputs, outputs, rows, 0)
        rows, left_out = by_library(rows), self.dropout.left_out(layer)
        for place, module in enumerate(modules):
            if not self._adapts(layer, module):
                continue
            columns = (place * width, (place + 1) * width)
            for slot, (method, tensors) in enumerate(self.slots):
                trained = slot == len(self.slots) - 1
                if _name(layer, module, "A") not in tensors or (trained and all(left_out)):
                    continue
                # A backbone in bfloat16 is adapted in bfloat16; the numbers trained stay float32.
                a, b = (tensors[_name(layer, module, matrix)].to(inputs.dtype) for matrix in ("A", "B"))
                dropped = inputs
                if trained:
                    dropped = self.dropout(inputs, rows, f"{layer}.{module}")
                    dropped = self.dropout.without(left_out, dropped, rows)
                outputs = _AddDelta.apply(outputs, dropped, a, b, method.scaling, columns, rows)  # type: ignore[no-untyped-call]
        return outputs

    def product(
        self, layer: int, modules: Sequence[Module], product: Product, inputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        """With the lowest slot's deltas in one function, the inputs' gradient of both is one tensor."""
        tiles = tiles_of(rows)
        if tiles is not None and choice.runs("lora", inputs.device) and isinstance(product, InputProduct):
            groups = self._groups(layer, modules, 0)
            if len(groups) == 1 and not self._drops(layer, 0):
                deltas = self._deltas(layer, groups[0], 0, self._width(layer, groups[0], 0))
                with suppress(KernelFailed):
                    outputs = _apply("AdaptedProduct", deltas, tiles, inputs, product)
                    if outputs is not None:
                        return self._added(layer, modules, inputs, outputs, rows, 1)
        return super().product(layer, modules, product, inputs, rows)

    def _added(
        self,
        layer: int,
        modules: Sequence[Module],
        inputs: Tensor,
        outputs: Tensor,
        rows: tuple[int, ...],
        first: int,
    ) -> Tensor:
        """Outputs with the deltas of the slots from one on, by the kernel, or where it fails by the library."""
        tiles, left_out = tiles_of(rows), self.dropout.left_out(layer)
        width = outputs.shape[1] // len(modules)
        for slot in range(first, len(self.slots)):
            trained = slot == len(self.slots) - 1
            if trained and all(left_out):
                continue
            for group in self._groups(layer, modules, slot):
                read = inputs
                if trained:
                    read = self.dropout(inputs, rows, f"{layer}.{group[0][1]}")
                    read = self.dropout.without(left_out, read, rows)
                deltas = self._deltas(layer, group, slot, width)
                found = None
                if tiles is not None and choice.runs("lora", outputs.device):
                    with suppress(KernelFailed):
                        found = _apply("AddDeltas", deltas, tiles, outputs, read)
                outputs = _one_by_one(outputs, read, deltas, width, rows) if found is None else found
        return outputs

    def _groups(self, layer: int, modules: Sequence[Module], slot: int) -> list[list[tuple[int, Module]]]:
        """Places and names of the modules that a slot adapts, those on one input together."""
        _, tensors = self.slots[slot]
        found = [(place, one) for place, one in enumerate(modules) if _name(layer, one, "A") in tensors]
        if not found:
            return []
        return [[one] for one in found] if self._drops(layer, slot) else [found]

    def _drops(self, layer: int, slot: int) -> bool:
        """Whether each module has an input of its own, with its own mask."""
        changed = self.dropout.drops or any(self.dropout.left_out(layer))
        return changed and slot == len(self.slots) - 1

    def _width(self, layer: int, group: Sequence[tuple[int, Module]], slot: int) -> int:
        return self.slots[slot][1][_name(layer, group[0][1], "B")].shape[1]

    def _deltas(self, layer: int, group: Sequence[tuple[int, Module]], slot: int, width: int) -> Deltas:
        method, tensors = self.slots[slot]
        a, b = (tuple(tensors[_name(layer, module, matrix)] for _, module in group) for matrix in ("A", "B"))
        return Deltas(a, b, tuple(place * width for place, _ in group), method.scaling)


def _apply(function: str, deltas: Deltas, tiles: RowTiles, *first: object) -> Tensor | None:
    """What a function of the kernels makes of its first arguments and the deltas; None where these do not fit."""
    from adapterx.kernels import lora

    if not lora.fits(deltas):
        return None
    tensors = (*deltas.a, *deltas.b)
    places = [gradient_place(tensor) for tensor in tensors]
    return cast(Tensor, getattr(lora, function).apply(*first, deltas, tiles, places, *tensors))


def _one_by_one(outputs: Tensor, inputs: Tensor, deltas: Deltas, width: int, rows: tuple[int, ...]) -> Tensor:
    """Outputs with the deltas of several modules on one input, by the library."""
    for a, b, column in zip(deltas.a, deltas.b, deltas.columns, strict=True):
        columns, plain = (column, column + width), by_library(rows)
        own = (a.to(inputs.dtype), b.to(inputs.dtype))
        outputs = _AddDelta.apply(outputs, inputs, *own, deltas.scale, columns, plain)  # type: ignore[no-untyped-call]
    return outputs


class _AddDelta(torch.autograd.Function):
    """outputs[:, columns] += scale · inputs Aᵀ Bᵀ, in place and cell by cell.

    Only the inputs and their rank-r image are kept for the backward pass; the frozen product below keeps nothing.
    """

    @staticmethod
    def forward(
        ctx: Any,
        outputs: Tensor,
        inputs: Tensor,
        a: Tensor,
        b: Tensor,
        scale: float,
        columns: tuple[int, int],
        rows: tuple[int, ...],
    ) -> Tensor:
        target = outputs[:, columns[0] : columns[1]]
        add = _add_alike if alike(rows) else _add_one_by_one
        low = add(target, inputs, a, b, scale, rows)
        # A frozen adapter passes gradients on and needs none of its own.
        trained = ctx.needs_input_grad[2]
        ctx.save_for_backward(*((inputs, low) if trained else (None, None)), a, b)
        ctx.scale, ctx.columns, ctx.rows = scale, columns, rows
        ctx.mark_dirty(outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, low, a, b = ctx.saved_tensors
        part = gradient[:, ctx.columns[0] : ctx.columns[1]]
        differentiate = _differentiate_alike if alike(ctx.rows) else _differentiate_one_by_one
        if inputs is None:
            if not ctx.needs_input_grad[1]:
                return gradient, None, None, None, None, None, None
            passed = linear_by_cell(part, b.transpose(1, 2), None, ctx.rows).mul_(ctx.scale)
            return gradient, linear_by_cell(passed, a.transpose(1, 2), None, ctx.rows), None, None, None, None, None
        found = differentiate(part, inputs, low, a, b, ctx.scale, ctx.rows, ctx.needs_input_grad[1])
        return gradient, *found, None, None, None


def _add_one_by_one(
    target: Tensor, inputs: Tensor, a: Tensor, b: Tensor, scale: float, rows: tuple[int, ...]
) -> Tensor:
    """Add the deltas to (N, o) targets, a cell at a time; returns the (N, r) images of the inputs."""
    lows = []
    parts = zip(torch.split(target, list(rows)), torch.split(inputs, list(rows)), strict=True)
    for cell, (out, part) in enumerate(parts):
        low = part @ a[cell].T
        out.addmm_(low, b[cell].T, alpha=scale)
        lows.append(low)
    return lows[0] if len(lows) == 1 else torch.cat(lows)


def _add_alike(target: Tensor, inputs: Tensor, a: Tensor, b: Tensor, scale: float, rows: tuple[int, ...]) -> Tensor:
    """The same for cells with equally many rows: two batched products for all of them."""
    low = torch.bmm(inputs.view(len(rows), rows[0], -1), a.transpose(1, 2))
    target.view(len(rows), rows[0], -1).baddbmm_(low, b.transpose(1, 2), alpha=scale)
    return low.flatten(0, 1)


def _differentiate_one_by_one(
    gradient: Tensor,
    inputs: Tensor,
    low: Tensor,
    a: Tensor,
    b: Tensor,
    scale: float,
    rows: tuple[int, ...],
    needs_inputs: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Gradients of inputs, A and B."""
    counts = list(rows)
    grad_a, grad_b = torch.empty_like(a), torch.empty_like(b)
    grad_inputs = torch.empty_like(inputs) if needs_inputs else None
    into = [None] * len(counts) if grad_inputs is None else torch.split(grad_inputs, counts)
    parts = zip(torch.split(gradient, counts), torch.split(inputs, counts), torch.split(low, counts), into, strict=True)
    for cell, (part, x, z, out) in enumerate(parts):
        torch.mm(part.T, z, out=grad_b[cell]).mul_(scale)
        grad_low = (part @ b[cell]).mul_(scale)
        torch.mm(grad_low.T, x, out=grad_a[cell])
        if out is not None:
            torch.mm(grad_low, a[cell], out=out)
    return grad_inputs, grad_a, grad_b


def _differentiate_alike(
    gradient: Tensor,
    inputs: Tensor,
    low: Tensor,
    a: Tensor,
    b: Tensor,
    scale: float,
    rows: tuple[int, ...],
    needs_inputs: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The same for cells with equally many rows."""
    part, x, z = (tensor.view(len(rows), rows[0], tensor.shape[1]) for tensor in (gradient, inputs, low))
    grad_b = torch.bmm(part.transpose(1, 2), z).mul_(scale)
    grad_low = torch.bmm(part, b).mul_(scale)
    grad_a = torch.bmm(grad_low.transpose(1, 2), x)
    return torch.bmm(grad_low, a).flatten(0, 1) if needs_inputs else None, grad_a, grad_b
