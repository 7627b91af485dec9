"""Products with frozen weights: outputs of linear layers, and their input gradients, as fast as the machine allows.

Nothing here computes or keeps what only the gradient of a weight would need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn

PACKING_LIMIT = 4 << 30
"""Bytes of frozen weights up to which a CPU keeps reordered copies of them (one per direction of a pass)."""


Activation: TypeAlias = Literal["none", "gelu"]


class Product(Protocol):
    """Outputs (N, o) of frozen linear layers, side by side, from inputs (N, i)."""

    def __call__(self, inputs: Tensor) -> Tensor: ...


class Modules:
    """Layers called one by one: quantised ones, whose weights cannot be put side by side."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = tuple(modules)

    def __call__(self, inputs: Tensor) -> Tensor:
        outputs = [module(inputs) for module in self.modules]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


class Joint:
    """One product with the layers' weights (o, i), which lie side by side."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.weight, self.bias)


class Reordered:
    """The same on a CPU in float32, with the weights kept in the order that oneDNN's kernels read them.

    Reordering costs a product of the common kind a tenth to a quarter of its time; a frozen weight needs it once.
    The copies are made at the first product of each direction.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.bias = bias
        self._forward: Tensor | None = None
        self._backward: Tensor | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        return cast(Tensor, _ReorderedLinear.apply(inputs, self))  # type: ignore[no-untyped-call]

    def outputs(self, inputs: Tensor, activation: Activation = "none") -> Tensor:
        """inputs Wᵀ + b, activated before it leaves the caches; differentiable only without an activation."""
        if self._forward is None:
            self._forward = torch.ops.mkldnn._reorder_linear_weight(self.weight)
        return _linear(inputs, self._forward, self.bias, activation)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """gradient W."""
        if self._backward is None:
            self._backward = torch.ops.mkldnn._reorder_linear_weight(self.weight.T.contiguous())
        return _linear(gradient, self._backward, None)


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation = "none") -> Tensor:
    # Of GELU's two forms, "none" is the exact one.
    form = "none" if activation == "gelu" else ""
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(inputs.contiguous(), weight, bias, activation, [], form))


class _ReorderedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, product: Reordered) -> Tensor:
        ctx.product = product
        return product.outputs(inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        product: Reordered = ctx.product
        return product.input_gradient(gradient), None


def reordering_pays(layers: Sequence[nn.Module]) -> bool:
    """Whether these layers' products are to be `Reordered`: float32 on a CPU with oneDNN, and not too large."""
    weights = [parameter for layer in layers for parameter in layer.parameters()]
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
        and sum(weight.nbytes for weight in weights) <= PACKING_LIMIT
    )


def product(modules: Sequence[nn.Module], weight: Tensor | None, bias: Tensor | None, reordered: bool) -> Product:
    """The product of adjacent linear layers.

    Args:
        weight: (o, i) their weights side by side; None for layers that are not plain `nn.Linear`.
    """
    if weight is None or bias is None:
        return Modules(modules)
    return Reordered(weight, bias) if reordered else Joint(weight, bias)
