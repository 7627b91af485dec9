"""Products with frozen weights: outputs of linear layers, and their input gradients, as fast as the machine allows.

Nothing here computes or keeps what only the gradient of a weight would need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, cast, runtime_checkable

import torch
from torch import Tensor, nn

from adapterx.backbones.precisions.base import REORDERED
from adapterx.backbones.row_quantised import LARGEST_INT8, RowQuantised, beside, scaled_rows
from adapterx.kernels.choice import emulating
from adapterx.machine import kernels

PACKING_LIMIT = REORDERED

Activation: TypeAlias = Literal["none", "gelu"]


class Product(Protocol):
    """Outputs (N, o) of frozen linear layers, side by side, from inputs (N, i)."""

    recordable: ClassVar[bool]
    """Whether it asks the host for nothing, so that a CUDA graph may record it."""

    def __call__(self, inputs: Tensor) -> Tensor: ...


@runtime_checkable
class InputProduct(Protocol):
    """A product that knows both of its directions, without a record of autograd's."""

    def outputs(self, inputs: Tensor) -> Tensor:
        """inputs Wᵀ + b."""
        ...

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """gradient W."""
        ...


class _FrozenLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, product: InputProduct) -> Tensor:
        ctx.product = product
        return product.outputs(inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        product: InputProduct = ctx.product
        return product.input_gradient(gradient), None


def _frozen(inputs: Tensor, product: InputProduct) -> Tensor:
    return cast(Tensor, _FrozenLinear.apply(inputs, product))  # type: ignore[no-untyped-call]


class Modules:
    """Layers called one by one: those of other libraries, whose weights cannot be put side by side."""

    recordable: ClassVar[bool] = False  # LLM.int8() asks the host about outliers

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = tuple(modules)

    def __call__(self, inputs: Tensor) -> Tensor:
        outputs = [module(inputs) for module in self.modules]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


class Joint:
    """One product with the layers' weights (o, i), which lie side by side."""

    recordable: ClassVar[bool] = True

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.weight, self.bias)

    def outputs(self, inputs: Tensor) -> Tensor:
        """inputs Wᵀ + b."""
        return nn.functional.linear(inputs, self.weight, self.bias)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """gradient W."""
        return gradient @ self.weight


class Reordered:
    """The same on a CPU with the weights kept in the order that oneDNN's kernels read them.

    Reordering costs a product of the common kind a tenth to a quarter of its time; a frozen weight needs it once.
    The copies are made at the first product of each direction.
    """

    recordable: ClassVar[bool] = True

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.bias = bias
        self._forward: Tensor | None = None
        self._backward: Tensor | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        return _frozen(inputs, self)

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


class Scratch:
    """One matrix in the format of hidden states, which every product with weights of another format fills anew."""

    def __init__(self) -> None:
        self._buffer = torch.empty(0)

    def matrix(self, shape: torch.Size, number: torch.dtype, device: torch.device) -> Tensor:
        """(o, i), its content arbitrary; valid until the next call."""
        count = shape.numel()
        if self._buffer.numel() < count or self._buffer.dtype != number or self._buffer.device != device:
            self._buffer = torch.empty(count, dtype=number, device=device)
        return self._buffer[:count].view(shape)


class Converted:
    """One product with weights of another format than the inputs', turned into it in a scratch for each product.

    Turning them costs what reading them costs: little beside a product with many rows.

    Args:
        weight: (o, i); codes of 8 bits are whole numbers, which every format of hidden states has.
        scales: (o,) of the rows, which their outputs are multiplied by.
    """

    recordable: ClassVar[bool] = True

    def __init__(self, weight: Tensor, bias: Tensor, scratch: Scratch, scales: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias
        self.scratch = scratch
        self.scales = None if scales is None else scales.to(bias.dtype)

    def __call__(self, inputs: Tensor) -> Tensor:
        return _frozen(inputs, self)

    def outputs(self, inputs: Tensor) -> Tensor:
        weight = self._converted(inputs)
        if self.scales is None:
            return nn.functional.linear(inputs, weight, self.bias)
        return torch.addcmul(self.bias, nn.functional.linear(inputs, weight), self.scales)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        return (gradient if self.scales is None else gradient * self.scales) @ self._converted(gradient)

    def _converted(self, like: Tensor) -> Tensor:
        return self.scratch.matrix(self.weight.shape, like.dtype, self.weight.device).copy_(self.weight)


class Int8Product:
    """Inputs rounded to 8-bit integers row by row, multiplied with a layer's codes as integers.

    The gradient is rounded likewise, after the scales of the outputs have been multiplied into it.
    """

    recordable: ClassVar[bool] = True

    def __init__(self, layer: RowQuantised) -> None:
        self.layer = layer
        self._turned = layer.codes.T

    def __call__(self, inputs: Tensor) -> Tensor:
        return _frozen(inputs, self)

    def outputs(self, inputs: Tensor) -> Tensor:
        layer = self.layer
        codes, scales = _codes(inputs)
        sums = torch._int_mm(codes, self._turned).float()
        return torch.addcmul(layer.bias, sums.mul_(scales[:, None]), layer.scales).to(inputs.dtype)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        codes, scales = _codes(gradient * self.layer.scales)
        return torch._int_mm(codes, self.layer.codes).float().mul_(scales[:, None]).to(gradient.dtype)


def _codes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, i) int8 codes of rows and their scales (N,)."""
    shares, scales = scaled_rows(rows, LARGEST_INT8)
    return shares.round_().to(torch.int8), scales


class Fp8Product:
    """Rows of float8 times rows of float8, as GPUs of compute capability 8.9 and higher multiply them.

    A gradient sums over the outputs, so it needs the weights once more with a scale per input feature.
    """

    recordable: ClassVar[bool] = True

    def __init__(self, layer: RowQuantised) -> None:
        self.layer = layer
        shares, self._scales = scaled_rows(layer.dense(torch.float32).T, torch.finfo(torch.float8_e4m3fn).max)
        self._turned = shares.to(torch.float8_e4m3fn).contiguous()

    def __call__(self, inputs: Tensor) -> Tensor:
        return _frozen(inputs, self)

    def outputs(self, inputs: Tensor) -> Tensor:
        return _fp8(inputs, self.layer.codes, self.layer.scales) + self.layer.bias

    def input_gradient(self, gradient: Tensor) -> Tensor:
        return _fp8(gradient, self._turned, self._scales)


def _fp8(inputs: Tensor, codes: Tensor, scales: Tensor) -> Tensor:
    """inputs (N, i) times the transpose of (o, i) codes under their scales (o,)."""
    shares, own = scaled_rows(inputs, torch.finfo(torch.float8_e4m3fn).max)
    return torch._scaled_mm(
        shares.to(torch.float8_e4m3fn),
        codes.T,
        scale_a=own[:, None],
        scale_b=scales[None, :],
        out_dtype=torch.bfloat16,
    ).to(inputs.dtype)


def reordering_pays(layers: Sequence[nn.Module], hidden: torch.dtype = torch.float32) -> bool:
    """Whether these layers' products are to be `Reordered`: on a CPU with oneDNN that multiplies numbers of the format,
    all of them in that of hidden states, and not too large.
    """
    weights = [tensor for layer in layers for tensor in (*layer.parameters(), *layer.buffers())]
    return (
        not emulating()  # of a GPU, which has no such products
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and (hidden == torch.float32 or (hidden == torch.bfloat16 and kernels.multiplies_bfloat16()))
        and all(weight.device.type == "cpu" and weight.dtype == hidden for weight in weights)
        and sum(weight.nbytes for weight in weights) <= PACKING_LIMIT
    )


class Products:
    """Makes the products of one encoder's linear layers.

    Args:
        hidden: the format of hidden states.
        reordered: whether those of plain layers are `Reordered`.
    """

    def __init__(self, hidden: torch.dtype, reordered: bool) -> None:
        self.hidden = hidden
        self.reordered = reordered
        self.scratch = Scratch()

    def of(self, modules: Sequence[nn.Module]) -> list[Product]:
        """The product of adjacent frozen layers side by side, of the first alone, and of the others.

        Layers keep their weights, which become views of joint ones.
        """
        splits = [modules] if len(modules) == 1 else [modules, modules[:1], modules[1:]]
        if all(isinstance(module, RowQuantised) for module in modules):
            joint = (
                beside(cast(Sequence[RowQuantised], modules)) if len(modules) > 1 else cast(RowQuantised, modules[0])
            )
            width = len(joint.codes) // len(modules)
            rows = [slice(None), slice(0, width), slice(width, None)][: len(splits)]
            return [self._quantised(RowQuantised(joint.codes[one], joint.scales[one], joint.bias[one])) for one in rows]
        if all(plain(module) for module in modules):
            weight, bias = _side_by_side(cast(Sequence[nn.Linear], modules))
            width = len(weight) // len(modules)
            rows = [slice(None), slice(0, width), slice(width, None)][: len(splits)]
            return [self._floating(weight[one], bias[one]) for one in rows]
        return [Modules(part) for part in splits]

    def _floating(self, weight: Tensor, bias: Tensor) -> Product:
        if weight.dtype != self.hidden:
            return Converted(weight, bias.to(self.hidden), self.scratch)
        return Reordered(weight, bias) if self.reordered else Joint(weight, bias)

    def _quantised(self, layer: RowQuantised) -> Product:
        layer.bias = layer.bias.to(self.hidden)
        if layer.codes.dtype != torch.int8:
            return Fp8Product(layer)
        # Where 16 bits are multiplied fast, rounding inputs to 8 costs what it gains.
        if layer.codes.device.type == "cpu" and self.hidden == torch.float32 and kernels.multiplies_int8():
            return Int8Product(layer)
        return Converted(layer.codes, layer.bias, self.scratch, layer.scales)


def plain(module: nn.Module) -> bool:
    """Whether this is torch's own layer, of floating-point weights."""
    return type(module) is nn.Linear and module.weight.is_floating_point()


def weighs(module: nn.Module) -> bool:
    """Whether the weights of a frozen layer are at hand: those of a library's quantised one are not."""
    return isinstance(module, RowQuantised) or plain(module)


def dense(module: nn.Module, number: torch.dtype) -> Tensor:
    """(o, i) weights of a frozen layer that `weighs`, in a format."""
    return module.dense(number) if isinstance(module, RowQuantised) else cast(nn.Linear, module).weight.to(number)


def _side_by_side(modules: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Weights and biases of linear layers, put side by side in memory where they are several.

    The modules keep their parameters, now views of the joint storage.
    """
    if len(modules) == 1:
        return modules[0].weight.detach(), modules[0].bias.detach()
    weight = torch.cat([module.weight for module in modules]).detach()
    bias = torch.cat([module.bias for module in modules]).detach()
    start = 0
    for module in modules:
        stop = start + module.out_features
        module.weight.data, module.bias.data = weight[start:stop], bias[start:stop]
        start = stop
    return weight, bias
