"""What a GPU would refuse or wait for, seen operator by operator under fake CUDA tensors."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import adapterx

WAITS = "the host waits for the device"
PAGEABLE = "a copy from pageable memory"
FROM_HOST = "numbers of the host in a recording"
RANDOM = "random numbers of a running generator in a recording"
MIXED = "operands of several number formats"
CROSSED = "another stream crosses a recording"
HOST_INDEX = "an index in host memory"
TOO_WIDE = "the attention kernel is given more than 16 bits"

_WAITING = {
    f"aten::{name}"
    for name in (
        *("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select"),
        *("_unique2", "unique_consecutive", "unique_dim"),
    )
}
_RANDOM = {f"aten::{name}" for name in ("bernoulli_", "uniform_", "normal_", "rand", "randn", "native_dropout")}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_"}
_COPIES = {"aten::_to_copy", "aten::copy_"}
_CONVERTS = {*_COPIES, "aten::native_layer_norm_backward", "torch_attn::_varlen_attn_backward"}
"""Operators that take several number formats by design."""
_NO_KERNEL = {
    f"aten::{name}"
    for name in (
        *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "lift_fresh", "detach", "alias"),
        *("_unsafe_view", "_reshape_alias", "set_", "resize_", "sym_size", "sym_numel", "is_pinned", "record_stream"),
    )
}
_PACKAGE = Path(adapterx.__file__).parent


@dataclass(frozen=True, order=True)
class Problem:
    """Something that a GPU would refuse or wait for."""

    stage: str
    """What the rehearsal was doing."""
    kind: str
    operator: str
    place: str
    """The innermost lines of adapterx, the deepest first."""


@dataclass
class Log:
    """What happened in one rehearsal."""

    stage: str = ""
    recording: bool = False
    """Whether a CUDA graph is being recorded."""
    problems: Counter[Problem] = field(default_factory=Counter)
    launches: Counter[str] = field(default_factory=Counter)
    """By stage: operators that put at least one kernel on the device."""
    recorded: int = 0
    replayed: int = 0

    def note(self, kind: str, operator: str = "") -> None:
        """Note a problem here and now."""
        self.problems[Problem(self.stage, kind, operator, _here())] += 1


def _here() -> str:
    own = [one for one in traceback.extract_stack() if _PACKAGE in Path(one.filename).parents]
    return " < ".join(f"{Path(one.filename).relative_to(_PACKAGE)}:{one.lineno}" for one in reversed(own[-3:]))


class Pinned:
    """Which tensors lie in pinned memory: fake ones do not know."""

    def __init__(self) -> None:
        self._known: dict[int, ref[Tensor]] = {}

    def add(self, tensor: Tensor) -> None:
        """Note that it does."""
        self._known[id(tensor)] = ref(tensor)

    def __contains__(self, tensor: Tensor) -> bool:
        known = self._known.get(id(tensor))
        return known is not None and known() is tensor


class Rules(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes in a log what operators on CUDA tensors would make a GPU refuse or the host wait for."""

    def __init__(self, log: Log, pinned: Pinned) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.log = log
        self.pinned = pinned

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.name().split(".")[0]
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        there = [one for one in given if one.device.type == "cuda"]
        for kind in self._kinds(func, name, there, args, kwargs):
            self.log.note(kind, func.name())
        found = func(*args, **kwargs)
        if there or any(isinstance(one, Tensor) and one.device.type == "cuda" for one in tree_leaves(found)):
            self.log.launches[self.log.stage] += _launches(func, name)
        return found

    def _kinds(self, func: Any, name: str, there: list[Tensor], args: Any, kwargs: Any) -> Iterator[str]:
        if there:
            unsized = func.name() == "aten::repeat_interleave.Tensor" and kwargs.get("output_size") is None
            if name in _WAITING or unsized:
                yield WAITS
            if name.startswith("torch_attn::") and there[0].dtype not in (torch.bfloat16, torch.float16):
                yield TOO_WIDE
            if name in _INDEXING:
                yield from _indexed([one for one in args[1] if one is not None])
            floats = {one.dtype for one in there if one.is_floating_point() and one.dim() > 0}
            if len(floats - {torch.float64}) > 1 and name not in _CONVERTS and not _scaled(name):
                yield f"{MIXED}: {', '.join(sorted(map(str, floats)))}"
        if name in _COPIES:
            yield from self._copied(name, args, kwargs)
        if self.log.recording and name == "aten::lift_fresh":
            yield FROM_HOST
        if self.log.recording and name in _RANDOM:
            yield RANDOM

    def _copied(self, name: str, args: Any, kwargs: Any) -> Iterator[str]:
        source = args[0] if name == "aten::_to_copy" else args[1]
        target = kwargs.get("device") if name == "aten::_to_copy" else args[0].device
        if target is None:
            return
        way = (source.device.type, torch.device(target).type)
        if way == ("cpu", "cuda"):
            if self.log.recording:
                yield FROM_HOST
            if source not in self.pinned:
                yield PAGEABLE
        elif way == ("cuda", "cpu") and not _asynchronous(name, args, kwargs):
            yield WAITS


def _asynchronous(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a copy to the host is only put on its way."""
    given = kwargs.get("non_blocking", args[2] if name == "aten::copy_" and len(args) > 2 else False)
    return bool(given)


def _indexed(indices: list[Tensor]) -> Iterator[str]:
    if any(one.dtype in (torch.bool, torch.uint8) for one in indices):
        yield WAITS  # a mask has as many as it has
    if any(one.device.type == "cpu" for one in indices):
        yield HOST_INDEX


def _scaled(name: str) -> bool:
    """Whether an operator takes codes of 8 bits with scales of 32."""
    return name in ("aten::_scaled_mm", "aten::_int_mm") or name.startswith("bitsandbytes::")


def _launches(func: Any, name: str) -> int:
    """1 for an operator that computes, 0 for one that gives a view or memory."""
    return 0 if name in _NO_KERNEL or name.startswith("prim::") or func.is_view else 1
