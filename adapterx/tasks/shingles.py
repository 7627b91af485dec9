"""Runs of words that two sets of texts share, found without comparing text with text.

A text is normalised (NFKC, lower case) and cut into words, or into characters where a script writes no spaces between
words; punctuation and spaces do not count, so neither a missing full stop nor a template around a text hides it. Every
run of SHORT consecutive words becomes a hash of 64 bits. A longer run is shared where all the short runs in it are, so
one array of hashes answers for runs of any length.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from adapterx.tasks.words import Counts, Flags, Hashes, hashed

SHORT = 6
"""Words of one hashed run."""
LONG = 13
"""Words from which a shared run is no chance repetition: the length by which test items were looked for in GPT-3's
training text (Brown et al. 2020, arXiv 2005.14165, appendix C)."""
SHARE = 0.5
"""Of an item's words, those that must lie in shared runs where none of the runs is long."""
CHARACTERS = 2
"""Characters that count as one word in scripts without spaces."""
CHUNK = 1 << 23
"""Hashes of one sorted array, at least, before another is begun: 64 MB."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class ShingledTexts:
    """The hashed runs of several texts, text after text.

    Attributes:
        hashes: (runs) in the order of the texts.
        offsets: (texts + 1) delimit each text's runs; a text of fewer than SHORT words has none.
        unspaced: (texts) whether most words of the text are single characters, CHARACTERS of which count as one.
        words: (texts) how many words, or characters, each has.
    """

    hashes: Hashes
    offsets: Counts
    unspaced: Flags
    words: Counts

    @classmethod
    def of(cls, texts: Iterable[str]) -> ShingledTexts:
        """Hash the runs of every text, each `normalised`. A character of a script without spaces is a word."""
        found = hashed(texts)
        return _rolled(found.hashes, found.lengths, 2 * found.singles > found.lengths)

    def shared_with(self, runs: Runs) -> tuple[Flags, Counts]:
        """(texts) whether a text has a long run in common, and (texts) how many of its words lie in shared runs."""
        count = len(self.words)
        shared = runs.hold(self.hashes)
        if not shared.any():
            return np.zeros(count, np.bool_), np.zeros(count, np.int64)
        text = np.repeat(np.arange(count), np.diff(self.offsets))
        start, place = self.offsets[:-1][text], np.arange(len(shared))
        size = np.where(self.unspaced, CHARACTERS, 1)
        # The nearest place before, in the same text, that is not shared: what lies between is one shared run.
        unshared = np.maximum.accumulate(np.where(shared, -1, place))
        streak = np.where(shared, place - np.maximum(unshared, start - 1), 0)
        longest = np.zeros(count, np.int64)
        np.maximum.at(longest, text, streak)
        before = np.concatenate([[-1], np.maximum.accumulate(np.where(shared, place, -1))[:-1]])
        fresh = np.where(before >= start, place - before, SHORT * CHARACTERS)
        added = np.where(shared, np.minimum(fresh, (SHORT * size)[text]), 0)
        covered = np.bincount(text, weights=added, minlength=count).astype(np.int64)
        return longest > (LONG - SHORT) * size, covered


@dataclass(frozen=True)
class ShingledItems:
    """Test items with the hashed runs of their texts; a text that several items have in common is hashed once.

    Attributes:
        texts: the distinct texts.
        members: (texts of all items) which text each is.
        bounds: (items + 1) delimit each item's texts.
    """

    texts: ShingledTexts
    members: Counts
    bounds: Counts

    @classmethod
    def of(cls, items: Iterable[Sequence[str]]) -> ShingledItems:
        """Hash items, each a sequence of its texts, which are `normalised`."""
        place: dict[str, int] = {}
        members, bounds = array("q"), array("q", [0])
        for one in items:
            members.extend(place.setdefault(text, len(place)) for text in one)
            bounds.append(len(members))
        return cls(ShingledTexts.of(place), np.asarray(members, np.int64), np.asarray(bounds, np.int64))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def shared_with(self, runs: Runs) -> Flags:
        """(items) whether LONG consecutive words of an item, or SHARE of all its words, stand in the other texts."""
        long, covered = self.texts.shared_with(runs)
        item = np.repeat(np.arange(len(self)), np.diff(self.bounds))
        total = np.bincount(item, weights=self.texts.words[self.members], minlength=len(self))
        inside = np.bincount(item, weights=covered[self.members], minlength=len(self))
        alike = np.bincount(item, weights=long[self.members], minlength=len(self)) > 0
        return alike | ((inside >= SHARE * total) & (inside > 0))

    def save(self, path: Path) -> None:
        """Write the arrays to a file that `load` reads."""
        arrays = {one.name: getattr(self.texts, one.name) for one in fields(ShingledTexts)}
        with path.open("wb") as stream:
            np.savez(stream, members=self.members, bounds=self.bounds, **arrays)

    @classmethod
    def load(cls, path: Path) -> ShingledItems:
        """Read what `save` wrote; OSError, ValueError or KeyError for anything else."""
        with np.load(path, allow_pickle=False) as found:
            texts = ShingledTexts(*(found[one.name] for one in fields(ShingledTexts)))
            return cls(texts, found["members"], found["bounds"])


@dataclass(frozen=True)
class Runs:
    """The distinct hashed runs of a set of texts, in sorted arrays; maybe mapped from files."""

    parts: tuple[Hashes, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Runs:
        """Hash the runs of every text, each `normalised` and looked at once, so that a generator will do."""
        full: list[Hashes] = []
        held = np.zeros(0, np.uint64)
        for part in _parts(texts):
            held = np.union1d(held, ShingledTexts.of(part).hashes)
            if len(held) >= CHUNK:
                full.append(held)
                held = np.zeros(0, np.uint64)
        return cls((*full, held))

    @classmethod
    def joined(cls, several: Iterable[Runs]) -> Runs:
        """The runs of all of these; small arrays become one, for each costs a search."""
        parts = [part for runs in several for part in runs.parts]
        large = [part for part in parts if len(part) >= CHUNK]
        small = [part for part in parts if len(part) < CHUNK]
        return cls((*large, np.unique(np.concatenate([np.zeros(0, np.uint64), *small]))))

    def hold(self, hashes: Hashes) -> Flags:
        """(hashes) whether each is among the runs."""
        found = np.zeros(len(hashes), np.bool_)
        for part in self.parts:
            if len(part):
                at = np.minimum(np.searchsorted(part, hashes), len(part) - 1)
                found |= part[at] == hashes
        return found

    def save(self, path: Path) -> None:
        """Write the arrays to a file that `load` maps: one after another, delimited by the numbers in front."""
        sizes = np.asarray([len(self.parts), *map(len, self.parts)], np.uint64)
        with path.open("wb") as stream:
            np.save(stream, np.concatenate([sizes, *self.parts]), allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> Runs:
        """Map what `save` wrote; OSError or ValueError for anything else."""
        whole: Hashes = np.load(path, allow_pickle=False, mmap_mode="r")
        if whole.dtype != np.uint64 or not len(whole):
            raise ValueError(f"{path} holds no runs")
        bounds = np.cumsum([1 + int(whole[0]), *whole[1 : 1 + int(whole[0])].tolist()])
        if len(bounds) < 2 or len(bounds) != bounds[0] or bounds[-1] != len(whole):
            raise ValueError(f"{path} holds no runs")
        return cls(tuple(whole[start:end] for start, end in pairwise(bounds.tolist())))


def _parts(texts: Iterable[str], size: int = 20_000) -> Iterator[list[str]]:
    """Lists of texts, each as many as are hashed at once."""
    rest = iter(texts)
    while part := list(islice(rest, size)):
        yield part


def _rolled(tokens: Hashes, lengths: Counts, unspaced: Flags) -> ShingledTexts:
    """Hash the runs of all texts at once, from the hashes of their words."""
    size = np.where(unspaced, SHORT * CHARACTERS, SHORT)
    runs = np.maximum(lengths - size + 1, 0)
    offsets = np.concatenate([[0], np.cumsum(runs)])
    starts = np.cumsum(lengths) - lengths
    first = np.repeat(starts - offsets[:-1], runs) + np.arange(offsets[-1])
    wide = np.repeat(unspaced, runs)
    made = np.zeros(len(first), np.uint64)
    for place in range(SHORT * CHARACTERS if wide.any() else SHORT):
        step = made * _MULTIPLIER + tokens[np.minimum(first + place, len(tokens) - 1)] if len(first) else made
        step ^= step >> np.uint64(29)
        made = step if place < SHORT else np.where(wide, step, made)
    return ShingledTexts(made, offsets, unspaced, lengths)
