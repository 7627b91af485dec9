"""Steps recorded as CUDA graphs, one per batch shape: the host replays a step instead of launching it anew."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from adapterx.backbones.layout import Attention, PackedBatch, SequenceSpans
from adapterx.engine.batches import Batch, placed
from adapterx.faults import is_out_of_memory

logger = logging.getLogger(__name__)

LIMIT = 8
"""Graphs of one bundle. They share one pool, about the memory of a step, beside that of steps not recorded."""
WARM_UP = 2
"""Runs before a recording, in which libraries allocate what they keep."""


@dataclass(frozen=True)
class _Recording:
    graph: Any
    batch: Batch
    """What the graph reads; a step's numbers are copied into it."""
    table: Tensor
    losses: Tensor


class CapturedSteps:
    """Takes steps by replaying them.

    Args:
        compute: takes the step of a batch and a `Step.table` on the device, without waiting for it; returns the losses.
        alive: (K,) which cells the step may change.
    """

    def __init__(self, compute: Callable[[Batch, Tensor], Tensor], alive: Tensor) -> None:
        self._compute = compute
        self._alive = alive
        self._seen: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, _Recording] = {}
        self._pool: Any = None
        self._refused = False
        """Whether something in a step cannot be recorded on this machine; steps are then launched one by one."""

    def __call__(self, batch: Batch, table: Tensor) -> Tensor | None:
        """Losses (K,) of the step of a batch in host memory; None where its shape is too rare to be recorded."""
        shape = signature(batch)
        self._seen[shape] += 1
        if batch.aligned is None or (shape not in self._recordings and not self._worth_recording(shape)):
            return None
        if shape not in self._recordings:
            try:
                self._recordings[shape] = self._record(batch, table)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                logger.warning("steps are not recorded: %s", error)
                self._refused = True
                return None
        recording = self._recordings[shape]
        for static, new in zip(recording.batch.tensors(), batch.tensors(), strict=True):
            static.copy_(new, non_blocking=True)
        recording.table.copy_(table.pin_memory(), non_blocking=True)
        losses = torch.empty_like(recording.losses)  # before the step is taken: it must not fail afterwards
        recording.graph.replay()
        return losses.copy_(recording.losses)

    def _worth_recording(self, shape: Hashable) -> bool:
        return self._seen[shape] > 1 and len(self._recordings) < LIMIT and not self._refused

    def _record(self, batch: Batch, table: Tensor) -> _Recording:
        """Record a step without taking it: while nobody is alive, it changes nothing."""
        device = self._alive.device
        static = placed(batch, lambda tensor: tensor.to(device, copy=True))
        static_table, alive = table.pin_memory().to(device, copy=True), self._alive.clone()
        stream, main = _side_stream(device), torch.cuda.current_stream(device)
        try:
            self._alive.zero_()
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    self._compute(static, static_table)
            graph = torch.cuda.CUDAGraph()
            # The loader's threads go on pinning memory meanwhile, hence an error mode of this thread alone.
            with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                losses = self._compute(static, static_table)
        finally:
            torch.cuda.set_stream(main)  # a recording that fails may leave the side stream in its place
            main.wait_stream(stream)
            self._alive.copy_(alive)
        self._pool = self._pool or graph.pool()
        return _Recording(graph, static, static_table, losses)


@cache
def _side_stream(device: torch.device) -> Any:
    """The one stream to record on: libraries keep a workspace for each that they have seen."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def signature(batch: Batch) -> Hashable:
    """Equal for batches that one recording serves."""
    return (
        tuple((tuple(tensor.shape), tensor.dtype) for tensor in batch.tensors()),
        _layout(batch.packed),
        None if batch.aligned is None else batch.aligned.choices,
    )


def _layout(packed: PackedBatch) -> Hashable:
    return (
        packed.rows,
        packed.read_rows,
        _sizes(packed.attention),
        _sizes(packed.read_attention),
        None if packed.expansion is None else _layout(packed.expansion.shared),
    )


def _sizes(attention: Attention) -> Hashable:
    """What a layout says in numbers of the host: a kernel's grid, or how slots are cut into rectangles."""
    if isinstance(attention, SequenceSpans):
        return attention.longest
    return tuple((block.sequences, block.queries, block.keys, block.mask is None) for block in attention.blocks)
