"""A stand-in for CUDA that records steps, and small bundles to record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adapterx.engine.batches import Batch
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.options import Options
from adapterx.engine.state import CellState
from adapterx.methods.lora.spec import Lora
from tests.cells import cell
from tests.engine.trainings import like, packed

Compute = Callable[[Batch, Tensor], Tensor]


@dataclass
class Graph:
    """Records calls of what `Cuda.watch` watches, and repeats them on the tensors they had."""

    cuda: Cuda
    call: tuple[Compute, Batch, Tensor, Tensor] | None = None
    replays: int = 0

    def replay(self) -> None:
        assert self.call is not None
        compute, batch, table, losses = self.call
        losses.copy_(compute(batch, table))
        self.replays += 1

    def pool(self) -> str:
        return "pool"


class Stream:
    """Notes who waits for whom."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda

    def wait_stream(self, other: Stream) -> None:
        self.cuda.log.append("side waits" if other is self.cuda.main else "main waits")


class Cuda:
    """As much of torch.cuda as recordings use. What runs while recording is noted, not done."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.graphs: list[Graph] = []
        self.computed: list[str] = []
        self.main = Stream(self)
        self.recording: Graph | None = None

    def watch(self, compute: Compute) -> Compute:
        def watched(batch: Batch, table: Tensor) -> Tensor:
            self.log.append("compute")
            if self.recording is None:
                return compute(batch, table)
            losses = torch.full((len(table),), torch.nan)
            self.recording.call = (compute, batch, table, losses)
            return losses

        return watched

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        yield

    @contextmanager
    def graph(self, graph: Graph, **_: Any) -> Iterator[None]:
        self.log.append("record")
        self.recording = graph
        try:
            yield
        finally:
            self.recording = None
        self.graphs.append(graph)


ALIGNED = Options(aligned=True, workers=0)


def bundle(*cells: TrainingCell, options: Options = ALIGNED) -> Bundle:
    enc = packed()
    return Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], options)


def two(**changes: Any) -> tuple[TrainingCell, TrainingCell]:
    """Cells that share their batches."""
    one = cell(Lora(rank=2), seed=1, learning_rate=1e-2, **changes)
    return one, like(one, "twin", learning_rate=3e-3)


def table(own: Bundle) -> Tensor:
    return own._next().table()
