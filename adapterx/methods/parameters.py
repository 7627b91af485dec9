"""Trainable numbers of several cells, side by side in one (K, P) tensor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Initialiser = Callable[[Tensor, torch.Generator], object]


def normal(std: float) -> Initialiser:
    """Mean 0 and the given standard deviation."""
    return lambda tensor, generator: tensor.normal_(0.0, std, generator=generator)


def kaiming_uniform(tensor: Tensor, generator: torch.Generator) -> object:
    """`nn.Linear`'s own: uniform within 1 / sqrt(fan in), that is Kaiming's with a = sqrt(5)."""
    bound = 1.0 / math.sqrt(tensor.shape[1])
    return tensor.uniform_(-bound, bound, generator=generator)


def ones(tensor: Tensor, generator: torch.Generator) -> object:
    """All one."""
    return tensor.fill_(1.0)


def zeros(tensor: Tensor, generator: torch.Generator) -> object:
    """All zero."""
    return tensor.zero_()


@dataclass(frozen=True)
class Parameter:
    """One trainable tensor of one cell."""

    name: str
    shape: tuple[int, ...]
    initialise: Initialiser
    decays: bool = True
    """Whether weight decay applies: not to biases, as in the usual trainers."""

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


def initial(parameters: Sequence[Parameter], seed: int, slot: int = 0) -> dict[str, Tensor]:
    """Fresh fp32 tensors of one cell. Each depends on seed, slot and its own name only: neighbours do not matter.

    Args:
        slot: how many adapters lie below the one these are for.
    """
    return {parameter.name: _fresh(parameter, seed, slot) for parameter in parameters}


def _fresh(parameter: Parameter, seed: int, slot: int) -> Tensor:
    generator = torch.Generator().manual_seed(stream("initialise", seed, slot, parameter.name))
    tensor = torch.empty(parameter.shape)
    parameter.initialise(tensor, generator)
    return tensor


def stream(*key: object) -> int:
    """A 63-bit seed for the random stream named by the key."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


class GradientSlot:
    """Where the gradient of a view goes: a kernel may write it there, once in a pass on the way back.

    Attributes:
        open: whether the next gradient may be written; it replaces what is there.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.open = False

    def take(self) -> Tensor | None:
        """The tensor, for the first who asks while it is open."""
        found, self.open = self.tensor if self.open else None, False
        return found


def gradient_place(leaf: Tensor) -> Callable[[Tensor], Tensor]:
    """What gives the tensor that a leaf's gradient is to be written to: its slot in the bank, or one of its own."""
    slot: GradientSlot | None = getattr(leaf, _SLOT, None)

    def place(tensor: Tensor) -> Tensor:
        found = None if slot is None else slot.take()
        return torch.empty_like(tensor, memory_format=torch.contiguous_format) if found is None else found

    return place


_SLOT = "_gradient_slot"


class ParameterBank:
    """The parameters of K cells of one structure.

    All values lie in one (K, P) fp32 tensor, decaying parameters first; gradients in another of the same shape.
    `views[name]` is a leaf of shape (K, *shape) over that storage: a name is a slice of columns, a cell is a row.
    """

    def __init__(self, parameters: Sequence[Parameter], values: Tensor) -> None:
        ordered = in_order(parameters)
        self.decaying = sum(parameter.numel for parameter in ordered if parameter.decays)
        self.values = values
        self.gradients = torch.zeros_like(values)
        self.views: dict[str, Tensor] = {}
        self._slots: list[GradientSlot] = []
        start = 0
        for parameter in ordered:
            columns = slice(start, start + parameter.numel)
            shape = (len(values), *parameter.shape)
            leaf = values[:, columns].view(shape).requires_grad_()
            slot = GradientSlot(self.gradients[:, columns].view(shape))
            setattr(leaf, _SLOT, slot)
            self.views[parameter.name] = leaf
            self._slots.append(slot)
            start = columns.stop

    def open_gradients(self, add: bool) -> None:
        """Let kernels write the next gradients into the bank, where they are not to be added to what is there."""
        for slot in self._slots:
            slot.open = not add

    @torch.no_grad()
    def take_gradients(self, gradients: Sequence[Tensor | None], add: bool = False) -> None:
        """Fill the (K, P) gradients from one tensor per view, in their order, or add to them; None counts as zero."""
        for slot, gradient in zip(self._slots, gradients, strict=True):
            slot.open = False
            if add:
                if gradient is not None:
                    slot.tensor.add_(gradient)
            elif gradient is None:
                slot.tensor.zero_()
            elif gradient is not slot.tensor:
                slot.tensor.copy_(gradient)


def in_order(parameters: Sequence[Parameter]) -> list[Parameter]:
    """The order in which a flat row holds its parameters: those that decay, then those that do not."""
    return sorted(parameters, key=lambda parameter: not parameter.decays)


def flatten(parameters: Sequence[Parameter], tensors: Mapping[str, Tensor]) -> Tensor:
    """(P,) values of one cell, in order; every tensor must be there in its shape, and no other."""
    expected = {parameter.name: parameter.shape for parameter in parameters}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise ValueError(
            f"adapter tensors do not fit: {wrong[0]} is {found.get(wrong[0])}, expected {expected.get(wrong[0])}"
            + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
        )
    flat = [tensors[parameter.name].detach().reshape(-1).float() for parameter in in_order(parameters)]
    return torch.cat(flat) if flat else torch.zeros(0)


def unflatten(parameters: Sequence[Parameter], values: Tensor) -> dict[str, Tensor]:
    """The named tensors of one cell from its (P,) values."""
    ordered = in_order(parameters)
    parts = torch.split(values, [parameter.numel for parameter in ordered])
    return {p.name: part.reshape(p.shape) for p, part in zip(ordered, parts, strict=True)}
