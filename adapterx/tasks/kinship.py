"""Which tasks share items: by what their YAML says, by the Hub's files, by ids of questions, and by their texts.

A test item in one language gives away the same item in all others, so of a parallel task every language counts, not
only those that are trained or scored in.
"""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from adapterx.plan.kinship import Kinship
from adapterx.plan.stage import TaskPart
from adapterx.store import write_stream
from adapterx.tasks import data
from adapterx.tasks.catalog import UnknownTask, names
from adapterx.tasks.examples import ChoiceExample, Example, PairExample, QAExample, Split, TaggingExample
from adapterx.tasks.spec import Hub, HubRows, Local, Sentences, TaskSpec

VERSION = 2
"""Raised whenever an item would get another key, or keys be kept in another form."""

ID = 16
"""Characters from which a question's id is taken to be no chance repetition; SQuAD's are hashes of 24 digits, and its
translations keep them."""
LONG = 60
"""Bytes of UTF-8 from which a text is taken to be no chance repetition; "Thank you !" stands in many corpora twice."""
OWN_SHARE = 0.01
"""Of a task's long test items, those that its own publisher's training split may repeat."""
ANY_SHARE = 0.05
"""Of all test items, short ones included, those that may be repeated."""

Keys: TypeAlias = NDArray[np.uint64]
"""(items) distinct and sorted: a hash of the item's texts, whose lowest bit says whether they are long."""
Node: TypeAlias = tuple[str, Split]

_DECLARED, _FILES = "derived_from", "the same files on the Hub"


class Relations:
    """Compares what is trained on with what is scored (`adapterx.plan.kinship.Compare`).

    Args:
        beside: where tasks of the user's own are found.
        store: the directory under which keys of items are kept, if it exists.
    """

    def __init__(self, beside: Path | None, store: Path | None = None) -> None:
        self.spec = cache(lambda name: data.find(name, beside))
        self._kept = store / "cache" / "items" if store is not None and store.is_dir() else None
        self._keys = cache(self._found)

    def __call__(self, trained: TaskPart, scored: TaskPart) -> Kinship:
        """Declared relations first, then the texts, where both are at hand without the network."""
        known = self.spec(scored.task)
        same = trained.task == scored.task or trained.task in known.same_task
        learnt, tested = self._sources(trained.task, "train"), self._sources(scored.task, "test")
        if common := [node for node in learnt if node in tested]:
            task, split = common[0]
            why = _FILES if _FILES in (learnt[common[0]], tested[common[0]]) else _DECLARED
            return Kinship(
                f"training on '{trained.task}' leaks into the test set of '{scored.task}': both hold items of"
                f" {task}'s {split} split ({why})",
                same_task=same,
            )
        made_of = known.sources[scored.source]
        if isinstance(made_of, Sentences):  # the questions and passages are those of extractive QA
            asked = self.spec(made_of.task)
            scored = replace(scored, task=asked.name, format=asked.format, source=made_of.source)
        if trained.format != scored.format:
            return Kinship(same_task=same)
        leak, remark = self._repeated_ids(trained, scored), None
        for language in self._languages(trained, scored):
            found = self._compared(trained, scored, language)
            leak, remark = leak or found.leak, remark or found.remark
        return Kinship(leak, remark, same)

    def _sources(self, task: str, split: Split) -> dict[Node, str]:
        """A split and all that it is derived from, however far back, with what says so."""
        found: dict[Node, str] = {}
        left: list[tuple[Node, str]] = [((task, split), _DECLARED)]
        while left:
            node, why = left.pop()
            if node not in found:
                found[node] = why
                left += [(parent, why) for parent in self._parents(*node)]
                left += [(other, _FILES) for other in self._same_files(*node)]
        return found

    def _same_files(self, task: str, split: Split) -> Iterator[Node]:
        """Splits of the catalog that read the same files of the Hub as a split of a task of the user's own."""
        if task in names():  # whose relations are declared
            return
        try:
            own = _hub_parts(self.spec(task), split)
        except UnknownTask:
            return
        for name in names() if own else ():
            for other in get_args(Split):
                theirs = _hub_parts(self.spec(name), other)
                if any(key in theirs and _overlap(rows, theirs[key]) for key, rows in own.items()):
                    yield name, other

    def _parents(self, task: str, split: Split) -> Iterator[Node]:
        try:
            known = self.spec(task)
        except UnknownTask:  # a task may name a source that nobody has described
            return
        for other, splits in known.derived_from.get(split, {}).items():
            yield from ((other, one) for one in splits)

    def _repeated_ids(self, trained: TaskPart, scored: TaskPart) -> str | None:
        """Why not, where questions of another task bear the ids of test items, in whatever languages."""
        if trained.format != "extractive-qa" or (trained.task, trained.source) == (scored.task, scored.source):
            return None
        learnt, tested = self._question_ids(trained, "train"), self._question_ids(scored, "test")
        if not (shared := len(np.intersect1d(learnt, tested, assume_unique=True))):
            return None
        return (
            f"training on '{trained.task}' leaks into the test set of '{scored.task}': {shared:,} of the"
            f" {len(tested):,} ids of its questions are those of training items"
        )

    def _question_ids(self, part: TaskPart, split: Split) -> Keys:
        """Of all languages that are at hand."""
        spec = self.spec(part.task)
        source = spec.sources[part.source]
        if not isinstance(source, Local | Hub) or "id" not in source.columns:
            return np.zeros(0, np.uint64)
        here = [code for code in part.languages if data.at_hand(spec, part.source, code, split)]
        found = [self._keys(part.task, part.source, code, split, True) for code in here]
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))

    def _languages(self, trained: TaskPart, scored: TaskPart) -> list[str]:
        """In which texts are compared: one of them is enough where both sides have the same items in each."""
        learnt, known = self.spec(trained.task), self.spec(scored.task)
        left = learnt.languages if learnt.parallel else trained.languages
        right = known.languages if known.parallel else scored.languages
        both = [code for code in left if code in right]
        usable = [
            code for code in both if _there(learnt, trained, code, "train") and _there(known, scored, code, "test")
        ]
        return usable[:1] if learnt.parallel and known.parallel else usable

    def _compared(self, trained: TaskPart, scored: TaskPart, language: str) -> Kinship:
        sides = ((trained, "train"), (scored, "test"))
        missing = [
            part.task for part, split in sides if not data.at_hand(self.spec(part.task), part.source, language, split)
        ]
        if missing:
            return Kinship(
                remark=f"whether '{trained.task}' shares items with the test set of '{scored.task}' is not looked at:"
                f" '{missing[0]}' is not downloaded yet"
            )
        learnt, tested = (self._keys(part.task, part.source, language, split) for part, split in sides)
        return _judged(learnt, tested, trained, scored, language)

    def _found(self, task: str, source: str, language: str, split: str, ids: bool = False) -> Keys:
        """The keys of a split's items, or of their ids, kept by the fingerprint of its content."""
        spec = self.spec(task)
        made = id_keys if ids else keys
        if self._kept is None:
            return made(data.stream(spec, source, language, split))
        kind = ".ids" if ids else ""
        path = self._kept / f"{data.fingerprint(spec, source, {split: [language]})}{kind}.{VERSION}.npy"
        try:
            return _load(path)
        except (OSError, ValueError):
            found = made(data.stream(spec, source, language, split))
        with suppress(OSError):  # what cannot be kept is computed again next time
            write_stream(path, lambda temporary: _save(temporary, found))
        return found


def _there(spec: TaskSpec, part: TaskPart, language: str, split: Split) -> bool:
    """Whether a split in a language is read anyway, or its files lie here."""
    if language in part.languages:
        return True
    try:
        here = data.at_hand(spec, part.source, language, split)
        return here and data.known_size(spec, part.source, language, split) != 0
    except OSError:
        return False


def keys(examples: Iterable[Example]) -> Keys:
    """The keys of items: hashes of their texts, in any order, after NFKC, in lower case, runs of space as one."""
    found = array("Q")
    for one in examples:
        text = "\x1f".join(sorted(" ".join(unicodedata.normalize("NFKC", t).lower().split()) for t in _texts(one)))
        content = text.encode(errors="surrogatepass")
        found.append(_hashed(content) & ~1 | (len(content) >= LONG))
    return np.unique(np.asarray(found, dtype=np.uint64))


def id_keys(examples: Iterable[Example]) -> Keys:
    """Hashes of the ids that are long enough to name one question everywhere."""
    found = array("Q", (_hashed(one.id.encode(errors="surrogatepass")) for one in examples if len(one.id) >= ID))
    return np.unique(np.asarray(found, dtype=np.uint64))


def _hashed(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _hub_parts(spec: TaskSpec, split: Split) -> dict[tuple[str, str, str], HubRows]:
    """What a split reads on the Hub: dataset, configuration and split there."""
    found = {}
    for source in (one for one in spec.sources.values() if isinstance(one, Hub)):
        for language in spec.languages:
            if (rows := source.rows(language, split)) is not None:
                code = source.codes.get(language, language)
                names_ = (source.dataset, rows.config or source.config, rows.split)
                dataset, config, part = (one.replace("{language}", code) for one in names_)
                found[dataset, config, part] = rows
    return found


def _overlap(one: HubRows, other: HubRows) -> bool:
    """Whether two choices of rows of the same files may share some: all but different remainders of one fold."""
    if one.fold is None or other.fold is None or one.fold.of != other.fold.of:
        return True
    return bool({*one.fold.keep} & {*other.fold.keep})


def _texts(one: Example) -> tuple[str, ...]:
    if isinstance(one, PairExample):
        return (one.text,) if one.text_pair is None else (one.text, one.text_pair)
    if isinstance(one, ChoiceExample):
        return (one.context, *one.choices)
    if isinstance(one, TaggingExample):
        return (" ".join(one.words),)
    if isinstance(one, QAExample):
        return (one.question, one.context)
    return (one.text,)


def _judged(learnt: Keys, tested: Keys, trained: TaskPart, scored: TaskPart, language: str) -> Kinship:
    """Nothing long may be shared with another task; a task's own splits are its publisher's, up to a limit."""
    shared = np.intersect1d(learnt, tested, assume_unique=True)
    if not len(shared):
        return Kinship()
    long, all_long = int((shared & 1).sum()), int((tested & 1).sum())
    own = trained.task == scored.task and trained.source == scored.source
    words = (
        f"{len(shared):,} of the {len(tested):,} test items of '{scored.task}' in {language} are also training items of"
        f" '{trained.task}'"
    )
    if len(shared) > ANY_SHARE * len(tested) or long > (OWN_SHARE * all_long if own else 0):
        return Kinship(f"training on '{trained.task}' leaks into the test set of '{scored.task}': {words}")
    return Kinship(remark=f"{words}, {long} of them longer than {LONG} bytes; that few are let pass")


def _save(path: Path, found: Keys) -> None:
    """Keys, and after them a hash of all of them."""
    with path.open("wb") as stream:
        np.save(stream, np.append(found, _seal(found)), allow_pickle=False)


def _load(path: Path) -> Keys:
    """Keys as they were saved; ValueError for others."""
    content = np.load(path, allow_pickle=False)
    if content.dtype != np.uint64 or content.ndim != 1 or not len(content) or content[-1] != _seal(content[:-1]):
        raise ValueError(f"{path} is damaged")
    keys: Keys = content[:-1]
    return keys


def _seal(found: Keys) -> np.uint64:
    return np.uint64(_hashed(np.ascontiguousarray(found).tobytes()))
