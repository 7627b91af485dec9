"""The words of many texts as 64-bit hashes, found in arrays of their characters rather than one text after another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]
Flags: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int64]

_AT_ONCE = 1 << 21
"""Characters of one set of arrays, at least."""
_SINGLE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
"""Thai, Lao, Burmese, Khmer, Kana and Han: scripts without spaces, in which each character is a word here."""
_LETTER = re.compile(r"\w")
_BETWEEN, _PART, _WHOLE, _UNKNOWN = 0, 1, 2, 255
"""What a character is: none of a word, part of one, or one itself."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Words:
    """The words of several texts, text after text.

    Attributes:
        hashes: (words) of each word.
        lengths: (texts) how many words each has.
        singles: (texts) how many of these are single characters of scripts without spaces.
    """

    hashes: Hashes
    lengths: Counts
    singles: Counts


def normalised(text: str) -> str:
    """A text after NFKC, in lower case."""
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).lower()


def hashed(texts: Iterable[str]) -> Words:
    """Hash the words of texts, each `normalised`: runs of letters, digits and underscores."""
    found = [_together(some) for some in _parts(texts)]
    none = Words(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Words(
        *(np.concatenate([getattr(one, name) for one in (none, *found)]) for name in ("hashes", "lengths", "singles"))
    )


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lists of texts, with about as many characters as are looked at together."""
    part: list[str] = []
    size = 0
    for text in texts:
        part.append(text)
        size += len(text) + 1
        if size >= _AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _together(texts: list[str]) -> Words:
    codes = np.frombuffer("".join(f"{text}\n" for text in texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    kind = _kinds(codes)
    letter = kind == _PART
    begins = kind == _WHOLE
    begins[0] |= letter[0]
    begins[1:] |= letter[1:] & ~letter[:-1]
    starts = np.flatnonzero(begins)
    ends = np.cumsum([len(text) + 1 for text in texts])
    owner = np.searchsorted(ends, starts, side="right")
    lengths = np.bincount(owner, minlength=len(texts))
    singles = np.bincount(owner[kind[starts] == _WHOLE], minlength=len(texts))
    if not len(starts):
        return Words(np.zeros(0, np.uint64), lengths, singles)
    # A word's hash is the sum over its characters of a number of the character times a power of its place.
    place = np.arange(len(codes)) - starts[np.maximum(np.cumsum(begins) - 1, 0)]
    inside = kind != _BETWEEN
    values = np.zeros(len(codes), np.uint64)
    values[inside] = _mixed(codes[inside].astype(np.uint64)) * _powers(int(place[inside].max()) + 1)[place[inside]]
    return Words(_mixed(np.add.reduceat(values, starts)), lengths, singles)


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """What each character is; each is asked for once in a process."""
    table = _table()
    found = table[codes]
    if (found == _UNKNOWN).any():
        for code in np.unique(codes[found == _UNKNOWN]).tolist():
            character = chr(code)
            table[code] = _WHOLE if _SINGLE.match(character) else _PART if _LETTER.match(character) else _BETWEEN
        found = table[codes]
    return found


@cache
def _table() -> NDArray[np.uint8]:
    return np.full(0x110000, _UNKNOWN, np.uint8)


def _powers(count: int) -> Hashes:
    """The first powers of an odd number, modulo 2⁶⁴."""
    return np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(count - 1, _MULTIPLIER, np.uint64)]))


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators", figure 15)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
