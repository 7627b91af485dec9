"""The passes of an evaluation: examples sorted by length and laid out ahead, answers on their way to the host.

On a GPU a thread lays out the next pass in pinned memory while the device computes, and answers are fetched once the
pass after theirs is on its way. On a CPU everything is done when it is its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Batch, Selection, placed
from adapterx.engine.collate import collate
from adapterx.engine.loader import Loader
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.ways import for_passes
from adapterx.tasks.encoded import Encoded

Numbers = NDArray[np.int64]


def ahead(device: torch.device) -> int:
    """Passes that are laid out before they are computed, and whose answers are fetched after the next has begun."""
    return int(device.type == "cuda")


@dataclass(frozen=True)
class Pass:
    """Some examples in one batch."""

    owner: Numbers
    """Of each the place of its pool."""
    example: Numbers
    """Its place in the pool."""
    rows: int
    """Token rows."""
    batch: Batch
    """In host memory, pinned where the encoder is on a GPU."""


class Passes:
    """All examples of some pools, each in one pass.

    Args:
        prefix: hidden states of `depth` layers, kept; a pass has them where all are known.
        limit: token rows of a pass; a single longer example gets one of its own.
    """

    def __init__(
        self, encoder: PackedEncoder, pools: Sequence[Encoded], prefix: PrefixCache | None, depth: int, limit: int
    ) -> None:
        self._encoder, self._pools, self._limit = encoder, pools, limit
        self._prefix = prefix if depth else None
        self._depth = depth
        self._owner, self._example, self._size = longest_first(pools)
        self.ahead = ahead(encoder.device)
        self._start = 0

    def __iter__(self) -> Iterator[Pass]:
        """The passes; those that are still to come are laid out anew after `halve`."""
        while self._start < len(self._size):
            limit, bounds = self._limit, self._bounds()
            loader = Loader(partial(self._pass, bounds), self.ahead, len(bounds))
            try:
                for _, stop in bounds:
                    one = loader.next()
                    yield one
                    if self._limit != limit:
                        break
                    self._start = stop
            finally:
                loader.close()

    def halve(self, failed: Pass) -> bool:
        """Give the examples of a pass that failed for lack of memory, and all after them, to smaller passes.

        Whether that is possible: not for one example.
        """
        if len(failed.owner) == 1:
            return False
        self._limit = max(1, failed.rows // 2)
        return True

    def _bounds(self) -> list[tuple[int, int]]:
        """First and last example of each pass from here on."""
        found, start = [], self._start
        while start < len(self._size):
            stop = start + _fitting(self._size[start : start + self._limit], self._limit)
            found.append((start, stop))
            start = stop
        return found

    def _pass(self, bounds: Sequence[tuple[int, int]], number: int) -> Pass:
        start, stop = bounds[number]
        chosen = np.arange(start, stop)[np.argsort(self._owner[start:stop], kind="stable")]
        owner, example = self._owner[chosen], self._example[chosen]
        selections = [Selection(0, self._pools[at], example[owner == at]) for at in np.unique(owner)]
        batch = collate([selections], self._encoder.spans, kernels=for_passes(self._encoder))
        if self.ahead:
            if self._prefix is not None:
                batch = replace(batch, hidden=self._prefix.known(batch, self._depth))
            batch = placed(batch, Tensor.pin_memory)
        return Pass(owner, example, int(self._size[start:stop].sum()), batch)


def longest_first(pools: Sequence[Encoded]) -> tuple[Numbers, Numbers, Numbers]:
    """Pool, place in the pool and token rows of every example."""
    sizes = [np.diff(pool.sequence_offsets[pool.example_sequences]) for pool in pools]
    size = np.concatenate([np.zeros(0, np.int64), *sizes])
    owner = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    example = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(pool)) for pool in pools)])
    order = np.argsort(-size, kind="stable")
    return owner[order], example[order], size[order]


def _fitting(sizes: Numbers, limit: int) -> int:
    """How many of the first sizes sum to at most `limit`; at least one."""
    return max(1, int(np.searchsorted(np.cumsum(sizes), limit, side="right")))


class Fetched:
    """Tensors of a device on their way to the host, by cell and reader.

    Args:
        tensors: on a GPU the copies are put into pinned memory; nobody waits before `wait`.
    """

    def __init__(self, tensors: Sequence[Sequence[Tensor]], device: torch.device) -> None:
        self._tensors = [[one.to("cpu", non_blocking=True) for one in own] for own in tensors]
        self._arrived: Any = None
        if device.type == "cuda":
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def wait(self) -> list[list[Tensor]]:
        """The tensors in host memory."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensors
