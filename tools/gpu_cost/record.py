"""The operations of one training step, recorded from the engine itself on a CPU that takes a GPU's ways.

At real sizes tensors have shapes alone (torch's fake tensors) and kernels are noted instead of launched; at small ones
everything can be computed too, and the same operations are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from adapterx.backbones import attention, packed
from adapterx.backbones.layout import SequenceSpans
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.state import CellState
from adapterx.kernels import choice, launch
from adapterx.kernels.choice import Name
from adapterx.kernels.launch import observed

_VIEWS = """
alias as_strided detach device diagonal empty empty_like empty_strided expand is_pinned item lift_fresh new_empty
new_empty_strided permute select slice split split_with_sizes squeeze sym_size t transpose unbind unfold unsqueeze view
view_as _local_scalar_dense _reshape_alias _unsafe_view
"""
VIEWS = frozenset(_VIEWS.split())
"""Operators that run no kernel."""


@dataclass(frozen=True)
class Of:
    """A tensor of an operation."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Of all its numbers."""
        count = 1
        for side in self.shape:
            count *= side
        return count * self.dtype.itemsize


@dataclass(frozen=True)
class Operation:
    """One operator of torch, or one kernel of the engine's own."""

    name: str
    inputs: tuple[Of, ...]
    outputs: tuple[Of, ...]
    stage: str
    constants: dict[str, Any] = field(default_factory=dict)
    own: bool = False
    """Whether it is one of the engine's own; its tensors are all among the inputs."""


@dataclass(frozen=True)
class Step:
    """What one step did, and of what size it was."""

    operations: tuple[Operation, ...]
    rows: int
    """Token rows, filler included."""
    tokens: int
    """Without."""
    sequences: int
    buckets: tuple[tuple[int, int, int], ...]
    """Longest, sequences and tokens of each bucket of the kernel for short sequences."""


def recorded(encoder: PackedEncoder, cells: Sequence[TrainingCell], names: Sequence[Name], fake: Any = None) -> Step:
    """The first step of a bundle with kernels of these names.

    Args:
        fake: the mode in which the encoder was made, if it has shapes alone.
    """
    with ExitStack() as stack:
        stack.enter_context(choice.emulated(names))
        states = [CellState.start(cell, shape_of(encoder)) for cell in cells]
        bundle = Bundle(encoder, cells, states, Options(workers=0))
        try:
            (batch,) = bundle._batches(0)
            table = bundle._next().table()
            seen = _Seen()
            if fake is not None:
                stack.enter_context(fake)
                stack.enter_context(patch.object(packed, "hidden_format", lambda rest, device: rest))
            stack.enter_context(patch.object(attention, "_one_by_one", seen.attend))
            stack.enter_context(observed(seen.launched, dry=fake is not None))
            stack.enter_context(patch.object(launch, "run", seen.unseen(launch.run)))
            stack.enter_context(patch.object(torch.autograd, "grad", seen.backwards(torch.autograd.grad)))
            stack.enter_context(seen)
            # Without the kernel's keys, the library's masks are counted by the host's.
            bundle.dropout.begin(bundle._next().taken if batch.masks is None else None, masks=batch.masks)
            losses = bundle._differentiate(batch, add=False)
            seen.stage = "update"
            bundle.trained.update_together(losses, table)
        finally:
            bundle.close()
    return Step(tuple(seen.operations), sum(batch.packed.rows), sum(batch.tokens), *_sequences(batch.packed.attention))


def _sequences(layout: Any) -> tuple[int, tuple[tuple[int, int, int], ...]]:
    assert isinstance(layout, SequenceSpans)
    lengths = layout.keys.diff()
    buckets = [] if layout.short is None else layout.short.buckets
    found = []
    for bucket in buckets:
        count = int(bucket.count)
        found.append((bucket.block[1], count, int(lengths[bucket.members[:count].long()].sum())))
    return int((lengths > 0).sum()), tuple(found)


class _Seen(TorchDispatchMode):
    """Writes down every operator, and what is noted of kernels."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self.stage = "forward"
        self._paused = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if self._paused:
            return out
        name = function.name().split("::")[1].split(".")[0]
        if name not in VIEWS:
            inputs, outputs = (_tensors(values) for values in ((args, kwargs), out))
            self.operations.append(Operation(name, inputs, outputs, self.stage))
        return out

    def launched(self, name: str, arguments: tuple[Any, ...], constants: dict[str, Any]) -> None:
        """Note a kernel of the engine's own."""
        plain = {key: value for key, value in constants.items() if isinstance(value, int | float)}
        self.operations.append(Operation(name, _tensors(arguments), (), self.stage, plain, own=True))

    def unseen(self, run: Any) -> Any:
        """The launching of kernels, of which what Triton's interpreter does is not written down."""

        def quietly(*args: Any) -> None:
            self._paused = True
            try:
                run(*args)
            finally:
                self._paused = False

        return quietly

    def backwards(self, grad: Any) -> Any:
        """Differentiation that tells the way back from the taking of gradients."""

        def told(*args: Any, **kwargs: Any) -> Any:
            self.stage = "backward"
            found = grad(*args, **kwargs)
            self.stage = "take"
            return found

        return told

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: SequenceSpans) -> Tensor:
        """In the place of the library's variable-length kernels, which no CPU has: noted both ways, not computed."""
        found: Tensor = _Attention.apply(q, k, v, self)  # type: ignore[no-untyped-call]
        return found


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, seen: _Seen) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.seen = seen
        seen.operations.append(Operation("varlen_forward", _tensors([q, k, v]), _tensors(q), seen.stage))
        return torch.empty(q.shape, dtype=q.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        ctx.seen.operations.append(
            Operation("varlen_backward", _tensors([*tensors, gradient]), _tensors(tensors), "backward")
        )
        return *(torch.empty(one.shape, dtype=one.dtype) for one in tensors), None


def _tensors(values: Any) -> tuple[Of, ...]:
    return tuple(Of(tuple(one.shape), one.dtype) for one in tree_leaves(values) if isinstance(one, Tensor))


@contextmanager
def shapes_alone(make: Any) -> Iterator[tuple[PackedEncoder, Any]]:
    """An encoder in bfloat16 whose tensors have shapes alone, and the mode they live in.

    Args:
        make: makes the Hugging Face model.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode, before = FakeTensorMode(allow_non_fake_inputs=True), torch.get_default_dtype()
    with choice.emulated([]), patch.object(packed, "hidden_format", lambda rest, device: rest):
        torch.set_default_dtype(torch.bfloat16)
        try:
            with mode:
                encoder = PackedEncoder(make())
        finally:
            torch.set_default_dtype(before)
        yield encoder, mode


def with_method(cells: Sequence[TrainingCell], method: Any) -> list[TrainingCell]:
    """The same trainings of another method, from their seeds."""
    return [replace(cell, method=method, initial=None) for cell in cells]
