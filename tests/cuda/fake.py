"""A rehearsal of the CUDA branch without a GPU: fake tensors that say they are on one, and stand-ins for what is there.

FakeTensorMode carries devices, number formats and shapes through the engine; `Rules` looks at every operator.
`torch.from_numpy` gives fake tensors in host memory, `Tensor.pin_memory` marks them, streams are the shim's, and a
recording runs its step once under the rules of recordings, to be replayed by doing nothing. Arrays of the host keep
their numbers. Those that it reads back are made up: losses are 0, everything is finite, everybody alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils.weak import WeakTensorKeyDictionary

from adapterx.engine import capture, loader
from tests.cuda.rules import CROSSED, WAITS, Log, Pinned, Rules
from tests.cuda.shim import Shim

_SIDE = 5
"""The number of the stream that `torch.cuda.Stream` gives; 0 is the default one."""


class Stream:
    """A stream by its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def wait_stream(self, other: Stream) -> None:
        """Nothing runs, so nothing is waited for."""

    def synchronize(self) -> None:
        """Nothing runs."""


class Event:
    """A point in a stream, reached at once."""

    def record(self, stream: Stream | None = None) -> None:
        """Nothing runs."""

    def synchronize(self) -> None:
        """Nothing runs."""

    def query(self) -> bool:
        return True


class Graph:
    """What a step was recorded as."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def pool(self) -> str:
        return "pool"

    def replay(self) -> None:
        self._log.replayed += 1


@contextmanager
def rehearsal(shim: Shim) -> Iterator[Log]:
    """Everything inside runs as on a GPU; what one would refuse or wait for is in the log."""
    log, pinned, numbers = Log(), Pinned(), WeakTensorKeyDictionary()
    mode = FakeTensorMode(allow_non_fake_inputs=False)
    capture._side_stream.cache_clear()
    with ExitStack() as stack:
        for target, name, value in (
            *_streams(shim, log),
            *_memory(mode, pinned, numbers),
            *_answers(log, numbers),
            *_properties(),
        ):
            stack.enter_context(patch.object(target, name, value))
        # A copy of a module copies its fake tensors, and with them what they belong to.
        stack.enter_context(patch.object(FakeTensorMode, "__deepcopy__", lambda own, memo: own, create=True))
        stack.enter_context(mode)
        stack.enter_context(Rules(log, pinned))
        yield log
    capture._side_stream.cache_clear()


Replacement = tuple[Any, str, Any]


class AtOnce:
    """An executor without threads: a mode of fake tensors belongs to one."""

    def __init__(self, workers: int, name: str) -> None:
        """As ThreadPoolExecutor is made."""

    def submit(self, make: Callable[..., Any], *given: Any) -> Future[Any]:
        found: Future[Any] = Future()
        found.set_result(make(*given))
        return found

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        """Nothing is under way."""


def _properties() -> Iterator[Replacement]:
    """What torch says of the GPU: one that multiplies bfloat16 and float8.

    Not that it is available: the mode would have numbers made on it.
    """
    yield torch.cuda, "is_bf16_supported", lambda including_emulation=True: True
    yield torch.cuda, "get_device_capability", lambda device=None: (9, 0)
    yield torch.cuda, "get_device_name", lambda device=None: "a GPU that is not there"
    yield torch.cuda.amp.common, "amp_definitely_not_available", lambda: False
    yield torch.cuda, "empty_cache", lambda: None
    yield torch.cuda, "synchronize", lambda device=None: None
    yield torch.cuda, "mem_get_info", lambda device=None: (64 << 30, 80 << 30)


def _streams(shim: Shim, log: Log) -> Iterator[Replacement]:
    streams = {number: Stream(number) for number in (0, _SIDE)}

    def current(device: Any = None) -> Stream:
        return streams[shim.stream]

    def set_stream(stream: Stream) -> None:
        shim.stream = stream.number

    @contextmanager
    def inside(stream: Stream) -> Iterator[None]:
        before = current()
        set_stream(stream)
        try:
            yield
        finally:
            set_stream(before)

    @contextmanager
    def recording(graph: Graph, stream: Stream, **_: Any) -> Iterator[None]:
        shim.waits()
        log.recording = True
        try:
            with inside(stream):
                yield
        finally:
            log.recording = False
        log.recorded += 1
        for waiting, other in shim.waits():
            if (waiting == stream.number) != (other == stream.number):
                log.note(CROSSED, f"stream {waiting} waits for stream {other}")

    yield torch.cuda, "Stream", lambda device=None: streams[_SIDE]
    yield torch.cuda, "Event", lambda **_: Event()
    yield torch.cuda, "current_stream", current
    yield torch.cuda, "set_stream", set_stream
    yield torch.cuda, "stream", inside
    yield torch.cuda, "graph", recording
    yield torch.cuda, "CUDAGraph", lambda: Graph(log)


Numbers = MutableMapping[Tensor, Any]
"""Arrays by the fake tensors that stand for them in host memory."""


def _memory(mode: FakeTensorMode, pinned: Pinned, numbers: Numbers) -> Iterator[Replacement]:
    yield loader, "ThreadPoolExecutor", AtOnce
    from_numpy = torch.from_numpy

    def fake_from_numpy(array: Any) -> Tensor:
        found = mode.from_tensor(from_numpy(array))
        numbers[found] = array
        return found

    def pin_memory(tensor: Tensor) -> Tensor:
        if tensor.device.type != "cpu":
            raise RuntimeError(f"cannot pin a tensor on {tensor.device}: only those in host memory can be")
        found = tensor.clone()
        pinned.add(found)
        if tensor in numbers:
            numbers[found] = numbers[tensor]
        return found

    yield torch, "from_numpy", fake_from_numpy
    yield Tensor, "pin_memory", pin_memory


def _answers(log: Log, numbers: Numbers) -> Iterator[Replacement]:
    """What the host reads of tensors that have no numbers; of those on the device it waits for them."""

    def asked(tensor: Tensor, what: str) -> None:
        if tensor.device.type == "cuda":
            log.note(WAITS, f"Tensor.{what}")

    def tolist(tensor: Tensor) -> Any:
        asked(tensor, "tolist")
        return _made_up(tensor, numbers).tolist()

    def numpy(tensor: Tensor, **_: Any) -> Any:
        if tensor.device.type == "cuda":
            raise TypeError("a tensor on the device has no array of numpy's")
        return _made_up(tensor, numbers)

    def scalar(name: str, value: object) -> Callable[[Tensor], object]:
        def read(tensor: Tensor) -> object:
            asked(tensor, name)
            return value

        return read

    yield from ((of, "tolist", tolist) for of in (Tensor, FakeTensor))
    yield Tensor, "numpy", numpy
    for name, value in (("item", 0.0), ("__bool__", True), ("__float__", 0.0), ("__int__", 2), ("__index__", 2)):
        yield Tensor, name, scalar(name, value)


def _made_up(tensor: Tensor, numbers: Numbers) -> Any:
    """Its own numbers where it has any; else zeros for floating point, true or one for the rest: so many are alive."""
    if tensor in numbers:
        return numbers[tensor]
    if tensor.is_floating_point():
        return np.zeros(tuple(tensor.shape), np.float32)
    return np.ones(tuple(tensor.shape), np.bool_ if tensor.dtype == torch.bool else np.int64)
