"""Which items of a split are kept where a recipe gives a limit.

A random sample goes by the items' ids: those are kept whose keyed hashes are smallest. What is kept of one item is
therefore decided by its id and the number that is kept alone. It is the same in every file order, on every machine and
in every language that shares the ids; a language that lacks some of the items keeps others in their place, and agrees
on the rest. The seeds of trainings have no part in it, so all cells and seeds of a run see the same items.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, Literal, TypeVar

Sample = Literal["random", "first"]
VERSION = "hashed-1"
"""Of the random sample, and part of the identity of what was made with one: raised if other items would be kept."""
_KEY = b"adapterx " + VERSION.encode()

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limit:
    """At most so many items per task and language, and which ones."""

    items: int
    sample: Sample = "random"
    """`random`: those with the smallest hashes; `first`: the first in the order of the data."""

    @classmethod
    def of(cls, items: int | None, sample: Sample) -> Limit | None:
        """None where all items are kept."""
        return None if items is None else cls(items, sample)

    def places(self, ids: Sequence[str]) -> list[int]:
        """The places of those that are kept, ascending. `ids` are distinct."""
        if self.sample == "first":
            return list(range(min(self.items, len(ids))))
        kept = Smallest[int](self.items)
        for place, id in enumerate(ids):
            kept.offer(id, place, str)
        return list(kept)

    @property
    def words(self) -> str:
        """the first 60 items, a random sample of 60 items."""
        start = "the first" if self.sample == "first" else "a random sample of"
        return f"{start} {self.items:,} item" + ("" if self.items == 1 else "s")


class Smallest(Generic[Item]):
    """The items with the smallest hashes among those that are offered, never more than `count` in memory.

    Items with the same id go by a hash of their content, and by their order where that is the same too, so that ids
    that name groups or nothing at all still give a random sample.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._offered = 0
        # The largest hash comes first: (−hash of the id, −hash of the content, −place, item).
        self._heap: list[tuple[int, int, int, Item]] = []

    def offer(self, id: str, item: Item, content: Callable[[Item], str] = repr) -> None:
        """Keep an item if it is among the smallest so far."""
        self._offered += 1
        first = -_hash(id)
        if len(self._heap) == self._count and first < self._heap[0][0]:
            return
        entry = (first, -_hash(content(item)), -self._offered, item)
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def __iter__(self) -> Iterator[Item]:
        """Those that are kept, in the order in which they were offered."""
        ordered = sorted(self._heap, key=lambda entry: -entry[2])
        return (item for *_, item in ordered)


def smallest(items: Iterable[Item], count: int, id: Callable[[Item], str]) -> Iterator[Item]:
    """The items with the smallest hashes of their ids, in their order, in one pass."""
    kept = Smallest[Item](count)
    for item in items:
        kept.offer(id(item), item)
    yield from kept


def _hash(text: str) -> int:
    """64 bits. Lone surrogates, which strings of JSON may hold, count as they are."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=_KEY).digest(), "big")
