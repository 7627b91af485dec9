"""Choices that are the same on every machine: all from `random.Random(str).random()`, which Python keeps stable."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from adapterx.tasks.examples import Split

T = TypeVar("T")
Drawn = TypeVar("Drawn", bound=Hashable)

_PATIENCE = 10_000


class Draws:
    """A stream of choices named by a key."""

    def __init__(self, *key: object) -> None:
        self._uniform = random.Random("/".join(map(str, key))).random  # noqa: S311  (data, not secrets)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._uniform() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self._uniform() * len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Several different ones of the items, in random order."""
        left = list(items)
        return [left.pop(int(self._uniform() * len(left))) for _ in range(count)]

    def fresh(self, draw: Callable[[], Drawn], seen: set[Drawn]) -> Drawn:
        """What `draw` returns, once that is not in `seen`, where it is then put.

        ValueError where nothing new turns up: the split has too few items for so many examples.
        """
        for _ in range(_PATIENCE):
            drawn = draw()
            if drawn not in seen:
                seen.add(drawn)
                return drawn
        raise ValueError(f"after {len(seen)} different examples the items of this split make no others: ask for fewer")


def split_of(kind: str, item: object, dev: int = 12, test: int = 25) -> Split:
    """The split an underlying item belongs to, in every task, language and seed: `test` and `dev` are percentages.

    It depends on the item alone, so a new CLDR release that adds items moves none from training to testing.
    """
    percent = int.from_bytes(hashlib.sha256(f"{kind}/{item}".encode()).digest()[:4], "big") % 100
    if percent < test:
        return "test"
    return "dev" if percent < test + dev else "train"
