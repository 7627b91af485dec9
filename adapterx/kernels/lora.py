"""LoRA for all cells at once: one kernel adds the deltas of modules that share their input, two more go back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from adapterx.kernels.launch import launch
from adapterx.kernels.lora_programs import lora_backward, lora_forward, lora_gradients
from adapterx.kernels.products import Place, block
from adapterx.kernels.tiles import LARGEST_RANK, TILE, Deltas, RowTiles

MOST = 3
"""Modules that share an input: query, key and value."""


def fits(deltas: Deltas) -> bool:
    """Whether the kernel has room for these deltas, and finds them all with the same strides."""
    (rank, count_in), (count_out, _) = deltas.a[0].shape[1:], deltas.b[0].shape[1:]
    plain = all(a.stride()[1:] == (count_in, 1) and a.stride(0) == deltas.a[0].stride(0) for a in deltas.a)
    plain &= all(b.stride()[1:] == (rank, 1) and b.stride(0) == deltas.b[0].stride(0) for b in deltas.b)
    alike = all(a.shape == deltas.a[0].shape for a in deltas.a) and all(b.shape == deltas.b[0].shape for b in deltas.b)
    return plain and alike and len(deltas.a) <= MOST and rank <= LARGEST_RANK and count_out > 0


def _three(values: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The values, the last one again where there are fewer."""
    padded = [*values, *[values[-1]] * (MOST - len(values))]
    return padded[0], padded[1], padded[2]


def _sizes(deltas: Deltas) -> tuple[tuple[int, int, int], dict[str, int]]:
    (rank, count_in), count_out = deltas.a[0].shape[1:], deltas.b[0].shape[1]
    constants = {"MODULES": len(deltas.a), "RANK": max(16, triton.next_power_of_2(rank))}
    return (count_in, count_out, rank), constants


def add(inputs: Tensor, outputs: Tensor, deltas: Deltas, tiles: RowTiles) -> Tensor:
    """Add the deltas to their columns of (N, …) outputs in place; returns the images (N, modules · r) of the inputs."""
    sizes, constants = _sizes(deltas)
    low = torch.empty((len(inputs), len(deltas.a) * sizes[2]), dtype=inputs.dtype, device=inputs.device)
    launch(
        "lora",
        lora_forward,
        (len(tiles.tiles),),
        *(inputs, outputs, low, *_three(deltas.a), *_three(deltas.b), tiles.tiles, *_three(deltas.columns)),
        *(deltas.scale, *sizes, inputs.stride(0), outputs.stride(0), low.stride(0)),
        *(deltas.a[0].stride(0), deltas.b[0].stride(0)),
        **constants,
        ROWS=TILE,
        BLOCK_IN=block(sizes[0]),
        BLOCK_OUT=block(sizes[1]),
    )
    return low


def pass_on(gradient: Tensor, into: Tensor | None, adds: bool, deltas: Deltas, tiles: RowTiles) -> Tensor:
    """The images (N, modules · r) of the outputs' gradient; what it passes on goes to, or is added to, (N, i)."""
    sizes, constants = _sizes(deltas)
    low = torch.empty((len(gradient), len(deltas.a) * sizes[2]), dtype=gradient.dtype, device=gradient.device)
    target = low if into is None else into
    launch(
        "lora",
        lora_backward,
        (len(tiles.tiles),),
        *(gradient, low, target, *_three(deltas.a), *_three(deltas.b), tiles.tiles, *_three(deltas.columns)),
        *(deltas.scale, *sizes, gradient.stride(0), low.stride(0), target.stride(0)),
        *(deltas.a[0].stride(0), deltas.b[0].stride(0)),
        **constants,
        ADDS=adds,
        WRITES=into is not None,
        ROWS=TILE,
        BLOCK_IN=block(sizes[0]),
        BLOCK_OUT=block(sizes[1]),
    )
    return low


def differentiate(
    gradient: Tensor, inputs: Tensor, low: Tensor, low_gradient: Tensor, into: Deltas, tiles: RowTiles
) -> None:
    """Write the gradients of every A and B, of which `into` has the places."""
    sizes, constants = _sizes(into)
    width = block(max(sizes[:2]))
    launch(
        "lora",
        lora_gradients,
        (len(into.a[0]), -(-max(sizes[:2]) // width), 1 + len(into.a)),
        *(gradient, inputs, low, low_gradient, *_three(into.a), *_three(into.b), tiles.starts, *_three(into.columns)),
        *(into.scale, *sizes, gradient.stride(0), inputs.stride(0), low.stride(0)),
        *(into.a[0].stride(0), into.b[0].stride(0)),
        **constants,
        ROWS=64,
        BLOCK=width,
    )


class AddDeltas(torch.autograd.Function):
    """outputs += the deltas of modules on the same inputs, in place."""

    @staticmethod
    def forward(
        ctx: Any,
        outputs: Tensor,
        inputs: Tensor,
        deltas: Deltas,
        tiles: RowTiles,
        slots: Sequence[Place],
        *tensors: Tensor,
    ) -> Tensor:
        low = add(inputs, outputs, deltas.of(tensors), tiles)
        trained = ctx.needs_input_grad[5]
        ctx.save_for_backward(*((inputs, low) if trained else (None, None)), *tensors)
        ctx.deltas, ctx.tiles, ctx.slots = _bare(deltas), tiles, slots
        ctx.mark_dirty(outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        into = None
        inputs, low, *tensors = ctx.saved_tensors
        gradient = gradient.contiguous()
        if ctx.needs_input_grad[1]:
            count = tensors[0].shape[2]
            into = torch.empty((len(gradient), count), dtype=gradient.dtype, device=gradient.device)
        if into is None and inputs is None:
            return gradient, None, None, None, None, *[None] * len(tensors)
        found = _backward(ctx, gradient, inputs, low, tensors, into, adds=False)
        return gradient, into, None, None, None, *found


class AdaptedProduct(torch.autograd.Function):
    """Outputs of a frozen product with the deltas added; the inputs' gradient of both is one tensor."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        product: Any,
        deltas: Deltas,
        tiles: RowTiles,
        slots: Sequence[Place],
        *tensors: Tensor,
    ) -> Tensor:
        outputs: Tensor = product.outputs(inputs)
        low = add(inputs, outputs, deltas.of(tensors), tiles)
        ctx.save_for_backward(inputs, low, *tensors)
        ctx.product, ctx.deltas, ctx.tiles, ctx.slots = (
            product,
            deltas.of([torch.empty(0)] * len(tensors)),
            tiles,
            slots,
        )
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, low, *tensors = ctx.saved_tensors
        gradient = gradient.contiguous()
        into = ctx.product.input_gradient(gradient) if ctx.needs_input_grad[0] else None
        found = _backward(ctx, gradient, inputs, low, tensors, into, adds=True)
        return into, None, None, None, None, *found


def _bare(deltas: Deltas) -> Deltas:
    """The same without its tensors, which autograd keeps."""
    return deltas.of([torch.empty(0)] * (2 * len(deltas.a)))


def _backward(
    ctx: Any,
    gradient: Tensor,
    inputs: Tensor | None,
    low: Tensor | None,
    tensors: Sequence[Tensor],
    into: Tensor | None,
    adds: bool,
) -> list[Tensor | None]:
    """Gradients of the tensors; the inputs' goes to `into`."""
    deltas = ctx.deltas.of(tensors)
    low_gradient = pass_on(gradient, into, adds, deltas, ctx.tiles)
    if not ctx.needs_input_grad[5] or inputs is None or low is None:
        return [None] * len(tensors)
    found = [place(tensor) for place, tensor in zip(ctx.slots, tensors, strict=True)]
    differentiate(gradient, inputs, low, low_gradient, deltas.of(found), ctx.tiles)
    return found
