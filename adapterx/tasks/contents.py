"""What is known of the items of a split after one reading of all of them, kept in a store by their content.

A plan asks for more than one thing of the same rows: how many are left out, which items recur elsewhere, and which runs
of words. Reading the rows is what takes long, so all of it is made at the first question.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adapterx.errors import AdapterxError
from adapterx.machine import cores
from adapterx.stopping import may_fork, unheeded
from adapterx.store import JSON, write_stream
from adapterx.store.atomic import write_json
from adapterx.tasks import data
from adapterx.tasks.data import Count, Counted
from adapterx.tasks.facts import Split
from adapterx.tasks.item_keys import Keys, Known
from adapterx.tasks.seal import check_seal, seal
from adapterx.tasks.shingles import Runs, ShingledItems
from adapterx.tasks.sources.entry import LeftOut
from adapterx.tasks.spec import TaskSpec
from adapterx.tasks.words import normalised

VERSION = 3
"""Raised whenever what is kept of a split would come out otherwise."""

_MUCH = 4_000_000
"""Bytes of files from which several processes are worth their start."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class _Read:
    """What one reading of a split came to."""

    counted: Counted
    keys: Keys
    ids: Keys
    runs: Runs
    """Of training and dev items; none of generated ones, whose patterns recur."""
    items: ShingledItems
    """Of test items, likewise."""


class Contents:
    """Reads each split once, and each content once in a store.

    Args:
        beside: where tasks of the user's own are found.
        store: the directory under which what was found is kept, if it exists.
    """

    def __init__(self, beside: Path | None, store: Path | None = None) -> None:
        self.spec: Callable[[str], TaskSpec] = cache(lambda name: data.find(name, beside))
        self._root = store / "cache" if store is not None and store.is_dir() else None
        self._read: dict[Split, _Read] = {}
        self._known: dict[tuple[Split, str], Any] = {}

    def ahead(self, parts: Sequence[Split]) -> None:
        """Read what is not known yet of several splits in as many processes as there are cores.

        Only where much is to be read; a split that cannot be read is told of when it is asked for.
        """
        left = [part for part in parts if part not in self._read and not self._is_kept(part)]
        left.sort(key=self._bytes, reverse=True)
        workers = min(len(left), cores()) if "fork" in get_all_start_methods() else 0
        if workers < 2 or sum(map(self._bytes, left)) < _MUCH or not may_fork():
            return
        pool = ProcessPoolExecutor(workers, get_context("fork"), initializer=unheeded)
        try:
            found = [(part, pool.submit(_read, self.spec(part[0]), *part[1:])) for part in left]
            for part, one in found:
                with suppress(AdapterxError, OSError):
                    self._remember(part, one.result())
        except BrokenProcessPool:  # a worker was killed, for memory perhaps: what is left is read here
            pass
        finally:
            # Whoever is asked to end must not wait for what is being read.
            pool.shutdown(wait=False, cancel_futures=True)

    def known_size(self, part: Split) -> int | None:
        """How many items a split of files here has, if that is known without reading it."""
        spec = self.spec(part[0])
        if not spec.sources[part[1]].counted_by_reading:
            return None
        if part in self._read:
            return self._read[part].counted.examples
        with suppress(AdapterxError, OSError, ValueError, LookupError, TypeError, AttributeError):
            if (path := self._looks(part)) is not None:
                return _loaded_count(path, spec).examples
        return None

    def counted(self, part: Split) -> Counted:
        """How many items there are, and how many are left out. Raises DataError naming file and row, or MissingData."""
        spec, path = self.spec(part[0]), self._looks(part)
        if path is not None and part not in self._read:
            with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
                return _loaded_count(path, spec)
        return self._pass(part).counted

    def keys(self, part: Split) -> Keys:
        """The keys of a split's items."""
        return self._found(part, ".npy", _load_keys, lambda read: read.keys)

    def ids(self, part: Split) -> Keys:
        """Those of its items' ids that name one question everywhere."""
        return self._found(part, ".ids.npy", _load_keys, lambda read: read.ids)

    def runs(self, part: Split) -> Runs:
        """The runs of words in the texts of training or dev items."""
        return self._found(part, ".runs.npy", Runs.load, lambda read: read.runs)

    def items(self, part: Split) -> ShingledItems:
        """The test items of a split with their runs of words."""
        return self._found(part, ".items.npz", ShingledItems.load, lambda read: read.items)

    def _found(self, part: Split, kind: str, load: Callable[[Path], Made], of: Callable[[_Read], Made]) -> Made:
        """What is in memory, else what is kept, else what a reading gives."""
        if (part, kind) not in self._known:
            made: Made | None = None
            path = self._kept(part, kind) if part not in self._read else None
            if path is not None:
                with suppress(OSError, ValueError, KeyError):
                    check_seal(path)
                    made = load(path)
            self._known[part, kind] = of(self._pass(part)) if made is None else made
        found: Made = self._known[part, kind]
        return found

    def _pass(self, part: Split) -> _Read:
        """Read a split."""
        if part not in self._read:
            self._remember(part, _read(self.spec(part[0]), *part[1:]))
        return self._read[part]

    def _remember(self, part: Split, found: _Read) -> None:
        """Keep what can be kept; what cannot is found again next time."""
        self._read[part] = found
        if path := self._looks(part):
            counts: JSON = {
                "examples": found.counted.examples,
                "left_out": dict(found.counted.left_out),
                "only_label": found.counted.only_label,
            }
            with suppress(OSError):
                write_json(path, counts)
        self._keep(part, ".npy", lambda path: _save_keys(found.keys, path))
        if self.spec(part[0]).kind.passages:
            self._keep(part, ".ids.npy", lambda path: _save_keys(found.ids, path))
        if part[3] == "test":
            self._keep(part, ".items.npz", found.items.save)
        else:
            self._keep(part, ".runs.npy", found.runs.save)

    def _is_kept(self, part: Split) -> bool:
        try:
            kept = (self._looks(part), self._kept(part, ".npy"))
        except (AdapterxError, OSError):  # files that are not there
            return True
        return all(path is not None and path.is_file() for path in kept)

    def _bytes(self, part: Split) -> int:
        """Of the files that are read; 0 where that is not known."""
        spec, (_, source, language, split) = self.spec(part[0]), part
        try:
            return sum(path.stat().st_size for path in data.paths(spec, source, language, split))
        except OSError:
            return 0

    def _keep(self, part: Split, kind: str, save: Callable[[Path], None]) -> None:
        def write(temporary: Path) -> None:
            save(temporary)
            seal(temporary)

        if path := self._kept(part, kind):
            with suppress(OSError):
                write_stream(path, write)

    def _kept(self, part: Split, kind: str) -> Path | None:
        """Where what is known of a split's items is kept: by the fingerprint of their content."""
        if self._root is None:
            return None
        task, source, language, split = part
        content = data.fingerprint(self.spec(task), source, {split: [language]})
        return self._root / "items" / f"{content}.{VERSION}{kind}"

    def _looks(self, part: Split) -> Path | None:
        """Where the numbers of a split's items are kept."""
        if self._root is None:
            return None
        task, *rest = part
        return self._root / "looks" / f"{data.content_key(self.spec(task), *rest)}.json"


def _read(spec: TaskSpec, source: str, language: str, split: str) -> _Read:
    count, known = Count(spec), Known()

    def said() -> Iterator[tuple[str, ...]]:
        for one in data.entries(spec, source, language, split):
            count.add(one)
            if not isinstance(one, LeftOut):
                found = tuple([normalised(text) for text in one.texts])
                known.add(one.id, found)
                yield found

    # The texts of generated items are of few patterns, so that runs of words would say nothing of them.
    runs, items = Runs(()), ShingledItems.of(())
    if spec.sources[source].generated:
        for _ in said():
            pass
    elif split == "test":
        items = ShingledItems.of(said())
    else:
        runs = Runs.of(chain.from_iterable(said()))
    return _Read(count.found(), known.keys, known.ids, runs, items)


def _loaded_count(path: Path, spec: TaskSpec) -> Counted:
    known = json.loads(path.read_text(encoding="utf-8"))
    left_out = {str(why): int(count) for why, count in known["left_out"].items()}
    only = None if known["only_label"] is None else range(len(spec.labels))[known["only_label"]]
    return Counted(int(known["examples"]), left_out, only)


def _load_keys(path: Path) -> Keys:
    return np.asarray(np.load(path, allow_pickle=False), dtype=np.uint64)


def _save_keys(found: Keys, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, found, allow_pickle=False)
