"""Tasks by name; their examples, their number and their identity, whatever source they come from.

This module is what a plan asks about tasks (`adapterx.plan.TaskFacts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from adapterx.limits import Limit
from adapterx.store import fingerprint as identity
from adapterx.store.identity import JSON
from adapterx.tasks.catalog import find, names
from adapterx.tasks.examples import Example, Split
from adapterx.tasks.metrics import span_reading
from adapterx.tasks.sources import labels, registry
from adapterx.tasks.sources.entry import Entry, LeftOut
from adapterx.tasks.sources.registry import Source
from adapterx.tasks.spec import TaskSpec

__all__ = [
    "at_hand",
    "counted",
    "entries",
    "fetch",
    "find",
    "fingerprint",
    "known_size",
    "load",
    "names",
    "origin",
    "paths",
    "read_ahead",
    "sizes",
    "stream",
    "texts",
]

_READ = 1
"""Raised whenever a row that was read is refused, or the other way round."""


@dataclass(frozen=True)
class Counted:
    """What reading every row of a split in a language came to."""

    examples: int
    """Of retrieval: queries."""
    left_out: Mapping[str, int]
    """Items that are left out, by reason."""
    only_label: int | None = None
    """Which of the task's labels all of several examples have; None where they differ or answers are no labels."""


class Count:
    """Counts the entries of a split of a task."""

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._examples = 0
        self._left_out = Counter[str]()
        self._labels: set[int] = set()

    def add(self, one: Entry) -> None:
        """Count an example, or why a row makes none."""
        if isinstance(one, LeftOut):
            self._left_out[one.value] += 1
        else:
            self._examples += self._spec.kind.counts(one)
            self._labels.update(one.labels)

    def found(self) -> Counted:
        """What was counted."""
        alike = self._examples > 1 and len(self._labels) == 1 and self._spec.labels
        only = next(iter(self._labels)) if alike else None
        return Counted(self._examples, dict(self._left_out), only)


def load(spec: TaskSpec, source: str, language: str, split: str, limit: Limit | None = None) -> list[Example]:
    """The examples of a split in a language, always in the same order; with a limit those that it keeps, of retrieval
    some of the queries and all candidates.

    Where the task is parallel a random sample is of the same items in every language; the first ones are, where each
    language has all items in the same order.
    Raises LookupError for an unknown source or split, FileNotFoundError or ValueError naming the file that is missing
    or wrong.
    """
    return list(stream(spec, source, language, split, limit))


def stream(spec: TaskSpec, source: str, language: str, split: str, limit: Limit | None = None) -> Iterator[Example]:
    """The same, one after another: only a batch of rows is in memory at a time, of SQuAD's JSON a file.

    A random sample is in memory too, and the split is read to its end for it; first items are all that is read.
    """
    read = _source(spec, source).entries(spec, language, _split(split))
    examples = (one for one in read if not isinstance(one, LeftOut))
    return examples if limit is None else spec.kind.limited(examples, limit)


def entries(spec: TaskSpec, source: str, language: str, split: str) -> Iterator[Entry]:
    """All examples of a split, and why others are left out.

    None of files that hold nothing, not even the names of their columns, which `stream` refuses.
    """
    chosen, known = spec.sources[source], _split(split)
    if chosen.holds_nothing(language, known):
        return iter(())
    return _source(spec, source).entries(spec, language, known)


def counted(spec: TaskSpec, source: str, language: str, split: str) -> Counted:
    """Read every row of a split, once in a process while its files stay as they are.

    Raises what reading raises, naming the file and the row.
    """
    key = content_key(spec, source, language, split)
    if key not in _COUNTED:
        count = Count(spec)
        for one in entries(spec, source, language, split):
            count.add(one)
        _COUNTED[key] = count.found()
    return _COUNTED[key]


_COUNTED: dict[str, Counted] = {}


def content_key(spec: TaskSpec, source: str, language: str, split: str) -> str:
    """Names the rows of a split and how they are read; the same rows may be refused by one way and read by another."""
    missing = _source(spec, source).on_missing
    content = fingerprint(spec, source, {split: [language]})
    return identity({"content": content, "missing": missing, "version": _READ})


def origin(spec: TaskSpec, source: str, language: str, split: str) -> str:
    """The files, or the dataset, that a split comes from, for messages; empty where the task has no such split."""
    chosen, known = _source(spec, source), _split(split)
    return chosen.origin(language, known) if language in spec.languages else ""


def paths(spec: TaskSpec, source: str, language: str, split: str) -> list[Path]:
    """The files under the data directory that a split is read from; none of other sources, or without such a split."""
    chosen, known = _source(spec, source), _split(split)
    return chosen.paths(language, known) if language in spec.languages else []


def sizes(spec: TaskSpec, source: str, language: str, split: str) -> int | None:
    """How many examples `load` would give: declared, counted, or told by files' metadata.

    Where a source leaves items out, only reading tells; rows that are not in files here are not read for it.

    0 where there is no such split, None where only reading it would tell.
    """
    chosen, known = _source(spec, source), _split(split)
    if language not in spec.languages:
        return 0
    found = chosen.size(spec, language, known)
    return counted(spec, source, language, split).examples if found is None and chosen.counted_by_reading else found


def texts(spec: TaskSpec, source: str, language: str, split: str) -> int | None:
    """How many texts a search reads, queries and candidates together; None where only reading them would tell."""
    chosen, known = _source(spec, source), _split(split)
    return chosen.texts(spec, language, known) if language in spec.languages else 0


def known_size(spec: TaskSpec, source: str, language: str, split: str) -> int | None:
    """What `sizes` tells without asking the network; None where it is not known. MissingData for missing files."""
    chosen, known = _source(spec, source), _split(split)
    if chosen.counted_by_reading or language not in spec.languages:
        return sizes(spec, source, language, split)
    return chosen.known_size(spec, language, known)


def at_hand(spec: TaskSpec, source: str, language: str, split: str) -> bool:
    """Whether `load` would need no network: true of everything but what is not downloaded yet."""
    return _source(spec, source).at_hand(language, _split(split))


def fetch(spec: TaskSpec, source: str, language: str, split: str) -> None:
    """Download what reading a split would download; AdapterxError where it is not there or nobody answers."""
    _source(spec, source).fetch(language, _split(split))


def read_ahead(spec: TaskSpec, source: str, language: str, split: str) -> bool:
    """Whether a plan reads every row of a split, to tell what is wrong with it before anything is trained."""
    return _source(spec, source).read_ahead(language, _split(split))


def fingerprint(spec: TaskSpec, source: str, splits: Mapping[str, Sequence[str]]) -> str:
    """Names the content of these languages of these splits, without making examples.

    Files count by their bytes, not by their names or places, those on the Hub by the names of their content; what is
    made here by generator, seed and Babel's version; a source of another package by that package's version too.
    Splits that are scored bring their metrics with them: all of them for test, the one that chooses a step for dev.
    """
    chosen = _source(spec, source)
    content = chosen.digest(spec, {_split(split): languages for split, languages in splits.items()})
    if package := registry.PACKAGES.get(chosen.kind):  # whose code no version of this package stands for
        content = {"kind": chosen.kind, "package": package, "content": content}
    task: dict[str, JSON] = {"format": spec.format, "labels": list(spec.labels), "version": spec.version}
    if spec.unanswerable:
        task["unanswerable"] = True
    if spec.pool != "own":
        task["pool"] = spec.pool
    scored: dict[str, JSON] = {"test": list(spec.metrics), "dev": spec.metric}
    metrics: dict[str, JSON] = {split: metric for split, metric in scored.items() if split in splits}
    if "span_f1" in (metric for split in metrics for metric in (spec.metrics if split == "test" else (spec.metric,))):
        # Tags that the first version read in another way: their scores are others, and so may be the chosen steps.
        spans = span_reading(spec.labels, spec.name)
        metrics |= {} if spans is None else {"spans": spans}
    return identity({"task": task, "content": content, "metrics": metrics})


def _split(name: str) -> Split:
    if name not in get_args(Split):
        raise LookupError(f"no split '{name}'; splits are {', '.join(get_args(Split))}")
    return cast(Split, name)


def _source(spec: TaskSpec, source: str) -> Source:
    if source not in spec.sources:
        raise LookupError(f"the task '{spec.name}' has no source '{source}'; it has {', '.join(spec.sources)}")
    if spec.label_file is not None and not spec.labels:
        labels.labels(spec.label_file)  # raises, naming the file
    return spec.sources[source]
