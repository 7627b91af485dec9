"""Batches prepared by threads while the current one is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NoReturn, TypeVar

Item = TypeVar("Item")


class Loader(Generic[Item]):
    """Items 0, 1, 2, … of a function, in order, some of them prepared ahead.

    The function says all there is to know of an item, so the number of threads changes nothing but the waiting.

    Args:
        make: item of a number. Called from several threads at once.
        workers: threads, each working on one item ahead; without any, items are made when they are asked for.
        end: number of items, so that none is prepared in vain.
    """

    def __init__(self, make: Callable[[int], Item], workers: int, end: int) -> None:
        self._make = make
        self._end = end
        self._next = 0
        self._ahead = workers + 1 if workers else 0
        self._pool = ThreadPoolExecutor(workers, "adapterx-loader") if workers else None
        self._coming: deque[Future[Item]] = deque()

    def next(self) -> Item:
        """The next item; raises what its making raised."""
        if self._pool is None:
            self._next += 1
            return self._make(self._next - 1)
        while len(self._coming) < max(1, min(self._ahead, self._end - self._next)):
            self._coming.append(self._pool.submit(self._make, self._next + len(self._coming)))
        self._next += 1
        return self._coming.popleft().result()

    def close(self) -> None:
        """Let go of the threads, of what they have prepared, and of the function with all that it holds on to."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._coming.clear()
        self._make = _closed


def _closed(number: int) -> NoReturn:
    raise RuntimeError(f"item {number} is asked of a closed loader")
