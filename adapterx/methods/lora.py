"""LoRA (Hu et al. 2022, arXiv 2106.09685) for many cells at once, additive when stacked, as in `peft`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from adapterx.backbones.packed import Module, Unadapted
from adapterx.methods.config import Lora
from adapterx.methods.parameters import Parameter, kaiming_uniform, zeros
from adapterx.methods.rows import CellDropout
from adapterx.methods.shape import Shape

_MODULE_PATH: dict[Module, str] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}


def parameters(method: Lora, shape: Shape) -> list[Parameter]:
    """A (rank, in) and B (out, rank) for each target of each layer; B starts at zero, so training starts at the
    backbone. Names are the module's path in the encoder with `.lora_A` and `.lora_B`."""
    found = []
    for layer in range(shape.layers):
        for module in method.target_modules:
            wide_in, wide_out = _widths(module, shape)
            found.append(Parameter(_name(layer, module, "A"), (method.rank, wide_in), kaiming_uniform))
            found.append(Parameter(_name(layer, module, "B"), (wide_out, method.rank), zeros))
    return found


def _widths(module: Module, shape: Shape) -> tuple[int, int]:
    if module == "intermediate":
        return shape.hidden, shape.intermediate
    if module == "output":
        return shape.intermediate, shape.hidden
    return shape.hidden, shape.hidden


def _name(layer: int, module: Module, matrix: str) -> str:
    return f"encoder.layer.{layer}.{_MODULE_PATH[module]}.lora_{matrix}"


class LoraAdapters(Unadapted):
    """The LoRA deltas of K cells.

    Args:
        slots: one mapping of stacked tensors (K, …) per active adapter. Several slots add their deltas:
            W x + s B₁ A₁ x + s B₂ A₂ x. Slots whose tensors do not require a gradient stay as they are.
        dropout: applied to the input of the last slot, the one in training.
    """

    def __init__(self, method: Lora, slots: Sequence[Mapping[str, Tensor]], dropout: CellDropout) -> None:
        self.targets = frozenset(method.target_modules)
        self.scale = method.alpha / method.rank
        self.slots = tuple(slots)
        self.dropout = dropout

    def linear(
        self, layer: int, modules: Sequence[Module], inputs: Tensor, outputs: Tensor, rows: tuple[int, ...]
    ) -> Tensor:
        width = outputs.shape[1] // len(modules)
        for place, module in enumerate(modules):
            if module not in self.targets:
                continue
            columns = (place * width, (place + 1) * width)
            for slot, tensors in enumerate(self.slots):
                # A backbone in bfloat16 is adapted in bfloat16; the numbers trained stay float32.
                a, b = (tensors[_name(layer, module, matrix)].to(inputs.dtype) for matrix in ("A", "B"))
                dropped = inputs
                if slot == len(self.slots) - 1:
                    dropped = self.dropout(inputs, rows, f"{layer}.{module}")
                outputs = _AddDelta.apply(outputs, dropped, a, b, self.scale, columns, rows)  # type: ignore[no-untyped-call]
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
        lows = []
        counts = list(rows)
        parts = zip(torch.split(target, counts), torch.split(inputs, counts), strict=True)
        for cell, (out, part) in enumerate(parts):
            low = part @ a[cell].T
            out.addmm_(low, b[cell].T, alpha=scale)
            lows.append(low)
        ctx.save_for_backward(inputs, torch.cat(lows), a, b)
        ctx.scale, ctx.columns, ctx.rows = scale, columns, rows
        ctx.mark_dirty(outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, low, a, b = ctx.saved_tensors
        rows, scale = list(ctx.rows), ctx.scale
        needs_inputs, needs_a, needs_b = ctx.needs_input_grad[1:4]
        parts = torch.split(gradient[:, ctx.columns[0] : ctx.columns[1]], rows)
        grad_inputs = torch.empty_like(inputs) if needs_inputs else None
        grad_a = torch.empty_like(a) if needs_a else None
        grad_b = torch.empty_like(b) if needs_b else None
        for cell, (part, x, z) in enumerate(zip(parts, torch.split(inputs, rows), torch.split(low, rows), strict=True)):
            if grad_b is not None:
                torch.mm(part.T, z, out=grad_b[cell]).mul_(scale)
            grad_low = (part @ b[cell]).mul_(scale)
            if grad_a is not None:
                torch.mm(grad_low.T, x, out=grad_a[cell])
            if grad_inputs is not None:
                start = sum(rows[:cell])
                torch.mm(grad_low, a[cell], out=grad_inputs[start : start + rows[cell]])
        return gradient, grad_inputs, grad_a, grad_b, None, None, None
