"""What an item is known by wherever it occurs: a hash of its texts, or of its id."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from adapterx.tasks.examples import ChoiceExample, Example, PairExample, QAExample, TaggingExample

ID = 16
"""Characters from which a question's id is taken to be no chance repetition; SQuAD's are hashes of 24 digits, and its
translations keep them."""
LONG = 60
"""Bytes of UTF-8 from which a text is taken to be no chance repetition; "Thank you !" stands in many corpora twice."""

Keys: TypeAlias = NDArray[np.uint64]
"""(items) distinct and sorted: a hash of the item's texts, whose lowest bit says whether they are long."""


def keys(examples: Iterable[Example]) -> Keys:
    """The keys of items: hashes of their texts, in any order, after NFKC, in lower case, runs of space as one."""
    found = array("Q")
    for one in examples:
        text = "\x1f".join(sorted(" ".join(unicodedata.normalize("NFKC", t).lower().split()) for t in texts(one)))
        content = text.encode(errors="surrogatepass")
        found.append(_hashed(content) & ~1 | (len(content) >= LONG))
    return np.unique(np.asarray(found, dtype=np.uint64))


def id_keys(examples: Iterable[Example]) -> Keys:
    """Hashes of the ids that are long enough to name one question everywhere."""
    found = array("Q", (_hashed(one.id.encode(errors="surrogatepass")) for one in examples if len(one.id) >= ID))
    return np.unique(np.asarray(found, dtype=np.uint64))


def texts(one: Example) -> tuple[str, ...]:
    """Everything that an item says, its answer apart."""
    if isinstance(one, PairExample):
        return (one.text,) if one.text_pair is None else (one.text, one.text_pair)
    if isinstance(one, ChoiceExample):
        return (one.context, *one.choices)
    if isinstance(one, TaggingExample):
        return (" ".join(one.words),)
    if isinstance(one, QAExample):
        return (one.question, one.context)
    return (one.text,)


def _hashed(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
