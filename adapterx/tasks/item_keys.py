"""What an item is known by wherever it occurs: a hash of its texts, or of its id."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

ID = 16
"""Characters from which a question's id is taken to be no chance repetition; SQuAD's are hashes of 24 digits, and its
translations keep them."""
LONG = 60
"""Bytes of UTF-8 from which a text is taken to be no chance repetition; "Thank you !" stands in many corpora twice."""

Keys: TypeAlias = NDArray[np.uint64]
"""(items) distinct and sorted: a hash of the item's texts, whose lowest bit says whether they are long."""


class Known:
    """The keys of items that are added one after another."""

    def __init__(self) -> None:
        self._keys, self._ids = array("Q"), array("Q")

    def add(self, id: str, said: Iterable[str]) -> None:
        """Hash an item's texts, in any order, runs of space as one; and an id that is long enough to name one question
        everywhere.

        Args:
            said: its texts, `normalised`.
        """
        content = "\x1f".join(sorted([" ".join(text.split()) for text in said])).encode(errors="surrogatepass")
        self._keys.append(_hashed(content) & ~1 | (len(content) >= LONG))
        if len(id) >= ID:
            self._ids.append(_hashed(id.encode(errors="surrogatepass")))

    @property
    def keys(self) -> Keys:
        """The items' keys."""
        return np.unique(np.asarray(self._keys, dtype=np.uint64))

    @property
    def ids(self) -> Keys:
        """The hashes of ids that name one question."""
        return np.unique(np.asarray(self._ids, dtype=np.uint64))


def _hashed(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
