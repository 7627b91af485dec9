"""An adapter on its way in or out: what it is, its tensors, its head, and the encoder it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from adapterx.backbones.shape import Encoder, Shape
from adapterx.files.errors import FormatError
from adapterx.methods.base import MethodSpec
from adapterx.methods.head import Head
from adapterx.methods.method import Slot, parameters
from adapterx.methods.parameters import Parameter
from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.base import TaskKind

DENSE, OUTPUT = "dense", "output"
"""The layers of a head; one for tagging or extractive QA has no dense one."""


@dataclass(frozen=True)
class PortableHead:
    """A prediction head: dense, tanh, output (d, d) and (o, d), or one linear layer for tagging and extractive QA."""

    format: str
    """The name of the kind of task that it is for."""
    labels: tuple[str, ...]
    """Class names in the order of the outputs; of multiple choice the names of the positions; none of QA."""
    tensors: Mapping[str, Tensor]
    """`dense.{weight,bias}` and `output.{weight,bias}`, float32."""
    task: str = ""
    """What it was trained on, where that is known."""

    @classmethod
    def of(cls, head: Head, labels: Sequence[str], tensors: Mapping[str, Tensor]) -> Self:
        """A trained head, of tensors that bear its task's name."""
        own = {name.removeprefix(head.prefix): tensor for name, tensor in tensors.items()}
        return cls(head.format, tuple(labels), own, head.task)

    @property
    def kind(self) -> TaskKind[Any]:
        """What it is a head of."""
        return kind(self.format)

    def ordered(self, labels: Sequence[str]) -> Self | None:
        """The same head with its outputs in this order of labels; None where these are other names, or other in number.

        The outputs of a head whose labels bear numbers only take these labels as they stand.
        """
        labels = tuple(labels)
        if labels == self.labels or self.labels == unnamed(len(labels)):
            return replace(self, labels=labels)
        if len(labels) != len(self.labels) or set(labels) != set(self.labels):
            return None
        if not self.kind.by_label:
            return replace(self, labels=labels)
        places = torch.tensor([self.labels.index(label) for label in labels])
        outputs = {name: tensor[places] for name, tensor in self.tensors.items() if name.startswith(f"{OUTPUT}.")}
        return replace(self, labels=labels, tensors={**self.tensors, **outputs})

    def named(self, task: str) -> tuple[Head, dict[str, Tensor]]:
        """The head of a task as methods and engine know it, with its tensors."""
        head = Head(task, self.format, len(self.labels))
        return head, {f"{head.prefix}{name}": tensor for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class PortableAdapter:
    """One trained adapter, as this package keeps it: tensors bear the encoder's own module names."""

    method: MethodSpec
    tensors: Mapping[str, Tensor]
    head: PortableHead | None = None
    headless: str = ""
    """Why the head that its files hold could not be read, if it could not."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The adapter as the encoder takes it."""
        return (Slot(self.method, self.tensors),)


def with_head(adapter: PortableAdapter, read: Callable[[], PortableHead], headless: bool) -> PortableAdapter:
    """The adapter with the head that is read; without one, and why, where it cannot be and that will do."""
    try:
        return replace(adapter, head=read(), headless="")
    except FormatError as error:
        if not headless:
            raise
        return replace(adapter, head=None, headless=str(error))


def head_shapes(format_: str, labels: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor of a head for an encoder of this width."""
    head = Head("", format_, labels)
    return {parameter.name.removeprefix(head.prefix): parameter.shape for parameter in head.parameters(hidden)}


def unnamed(count: int) -> tuple[str, ...]:
    """What the libraries call labels that nobody has named."""
    return tuple(f"LABEL_{place}" for place in range(count))


def expected(method: MethodSpec, shape: Shape) -> list[Parameter]:
    """The tensors that an adapter of this method has in an encoder of this shape."""
    return parameters(method, shape)


def check_tensors(adapter: PortableAdapter, encoder: Encoder) -> None:
    """Refuse tensors that are not those of one adapter."""
    known = {parameter.name for parameter in expected(adapter.method, encoder.shape)}
    if wrong := sorted(known ^ adapter.tensors.keys()):
        raise FormatError(f"the adapter is not a single {type(adapter.method).__name__}: {wrong[0]} is out of place")
