"""LoRA (Hu et al. 2022, arXiv 2106.09685) for many cells at once, additive when stacked, as in `peft`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from adapterx.backbones.forward_pass import Unadapted
from adapterx.backbones.modules import MODULE_PATH, Module, Place
from adapterx.backbones.shape import Shape
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.methods.parameters import Parameter, kaiming_uniform, zeros
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
        left_out = self.dropout.left_out(layer)
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
