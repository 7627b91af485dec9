"""Which tasks share items: by what their YAML says, by the Hub's files, by ids of questions, and by their texts.

A test item in one language gives away the same item in all others, and a file need not be in the language that it is
declared to be in: what is used in any language is compared with the test items in every language that is at hand.
`docs/explanation/contamination.md` says what is found so, and what cannot be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias, get_args

import numpy as np

from adapterx.errors import AdapterxError
from adapterx.tasks import data
from adapterx.tasks.catalog import UnknownTask, names
from adapterx.tasks.contents import Contents
from adapterx.tasks.examples import Split
from adapterx.tasks.facts import Relation, TaskPart
from adapterx.tasks.item_keys import LONG, Keys
from adapterx.tasks.kinds import kind
from adapterx.tasks.shingles import LONG as RUN
from adapterx.tasks.shingles import Runs
from adapterx.tasks.sources.fields import Fold
from adapterx.tasks.spec import TaskSpec
from adapterx.tasks.words import Flags

OWN_SHARE = 0.01
"""Of a task's long test items, those that its own publisher's other splits may repeat."""
ANY_SHARE = 0.05
"""Of all test items, short ones included, those that may be repeated, in whole or in part."""

Node: TypeAlias = tuple[str, Split]

_DECLARED = "derived_from"


class Relations:
    """Compares what is learnt from, or chosen by, with what is scored (`adapterx.plan.contamination.Compare`).

    Args:
        contents: of the splits that are compared.
        fetch: whether what is not downloaded yet is downloaded, so that it can be compared.
    """

    def __init__(self, contents: Contents, fetch: bool = False) -> None:
        self._contents = contents
        self.spec = contents.spec
        self.fetch = fetch
        self._all_keys = cache(self._joined_keys)
        self._all_runs = cache(self._joined_runs)

    def __call__(self, used: TaskPart, scored: TaskPart, split: str = "train") -> Relation:
        known, which = self.spec(scored.task), _split(split)
        same = which == "train" and self._ask_the_same(used.task, known)
        verb = _verb(which, used.task)
        learnt, tested = self._sources(used.task, which), self._sources(scored.task, "test")
        if common := [node for node in learnt if node in tested]:
            task, part = common[0]
            reasons = (learnt[common[0]], tested[common[0]])
            why = next((one for one in reasons if one != _DECLARED), _DECLARED)
            return Relation(
                f"{verb} leaks into the test set of '{scored.task}': both hold items of {task}'s {part} split ({why})",
                same_task=same,
            )
        if (made_of := known.sources[scored.source].made_of) is not None:
            task, source = made_of
            asked = self.spec(task)
            scored = replace(scored, task=asked.name, format=asked.format, source=source)
        pair = _Pair(used, scored, which, verb)
        missing = self._missing(pair)
        overlaps = [self._overlap(pair, language) for language in self._languages(scored, "test")]
        leaks = (leak for one in overlaps if (leak := _leak(pair, one)) is not None)
        unseen = (
            f"whether '{used.task}' shares items with the test set of '{scored.task}' is not looked at: '{missing}' is"
            " not downloaded yet"
        )
        return Relation(
            self._repeated_ids(pair) or next(leaks, None),
            (*([] if missing is None else [unseen]), *_let_pass(pair, overlaps)),
            missing is not None,
            same,
        )

    def _ask_the_same(self, learnt: str, scored: TaskSpec) -> bool:
        """Whether training on a task is training for another: it is the same, or asks the same, or translates one."""
        alike = {learnt}
        with suppress(UnknownTask):  # of an adapter that others have trained
            spec = self.spec(learnt)
            alike |= {*spec.same_task} & {*spec.derived_from.get("train", {})}
        return bool(alike & {scored.name, *scored.same_task})

    def _sources(self, task: str, split: Split) -> dict[Node, str]:
        """A split and all that it is derived from, however far back, with what says so."""
        found: dict[Node, str] = {}
        left: list[tuple[Node, str]] = [((task, split), _DECLARED)]
        while left:
            node, why = left.pop()
            if node not in found:
                found[node] = why
                left += [(parent, why) for parent in self._parents(*node)]
                left += self._same_rows(*node)
        return found

    def _same_rows(self, task: str, split: Split) -> Iterator[tuple[Node, str]]:
        """Splits of the catalog that read the same published rows as a split of a task of the user's own, and why."""
        try:
            known = self.spec(task)
        except UnknownTask:
            return
        if task in names() and known == data.find(task):  # whose relations are declared
            return
        own = _published(known, split)
        for name in names() if own else ():
            for other in get_args(Split):
                theirs = _published(self.spec(name), other)
                same = (rows.why for key, rows in own.items() if key in theirs and rows.overlap(theirs[key]))
                if (why := next(same, None)) is not None:
                    yield (name, other), why

    def _parents(self, task: str, split: Split) -> Iterator[Node]:
        try:
            known = self.spec(task)
        except UnknownTask:  # a task may name a source that nobody has described
            return
        for other, splits in known.derived_from.get(split, {}).items():
            yield from ((other, one) for one in splits)

    def _repeated_ids(self, pair: _Pair) -> str | None:
        """Why not, where questions of another task bear the ids of test items, in whatever languages."""
        used, scored = pair.used, pair.scored
        if not (kind(used.format).passages and kind(scored.format).passages) or pair.own:
            return None
        learnt, tested = self._question_ids(used, pair.split), self._question_ids(scored, "test")
        if not (shared := len(np.intersect1d(learnt, tested, assume_unique=True))):
            return None
        return f"{pair.leaks}: {shared:,} of the {len(tested):,} ids of its questions are those of {pair.items}"

    def _question_ids(self, part: TaskPart, split: Split) -> Keys:
        """The ids of all languages that are read and at hand."""
        spec = self.spec(part.task)
        source = spec.sources[part.source]
        if not source.names_items:
            return np.zeros(0, np.uint64)
        here = [code for code in part.languages if data.at_hand(spec, part.source, code, split)]
        found = [self._contents.ids((part.task, part.source, code, split)) for code in here]
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))

    def _missing(self, pair: _Pair) -> str | None:
        """The task of which something that is read has to be downloaded first; with `fetch` it is."""
        for part, split in ((pair.used, pair.split), (pair.scored, "test")):
            spec = self.spec(part.task)
            for code in part.languages:
                if data.at_hand(spec, part.source, code, split):
                    continue
                if not (self.fetch and _fetched(spec, part.source, code, split)):
                    return part.task
        return None

    def _languages(self, part: TaskPart, split: Split) -> list[str]:
        """Those read, and those whose files are here too."""
        spec = self.spec(part.task)
        if spec.sources[part.source].generated:  # in languages and splits that are what they say
            return list(part.languages)
        return [code for code in spec.languages if self._there(part, code, split)]

    def _there(self, part: TaskPart, language: str, split: Split) -> bool:
        """Whether the files of a split in a language lie here and hold something."""
        spec = self.spec(part.task)
        try:
            if not data.at_hand(spec, part.source, language, split):
                return False
            if language in part.languages:
                return True
            size = self._contents.known_size((part.task, part.source, language, split))
            return (data.known_size(spec, part.source, language, split) if size is None else size) != 0
        except OSError:
            return False

    def _overlap(self, pair: _Pair, language: str) -> _Overlap:
        """Compare the test items of one language with all that is used."""
        used, scored = pair.used, pair.scored
        spec, known = self.spec(used.task), self.spec(scored.task)
        # Of a parallel task, an item in one language is the same item in all others.
        read = self._languages(used, pair.split) if spec.parallel else used.languages
        codes = tuple(code for code in read if data.at_hand(spec, used.source, code, pair.split))
        repeated = tested = np.zeros(0, np.uint64)
        if used.format == scored.format:
            tested = self._contents.keys((scored.task, scored.source, language, "test"))
            learnt = self._all_keys(used.task, used.source, codes, pair.split)
            repeated = np.intersect1d(learnt, tested, assume_unique=True)
        sources = (spec.sources[used.source], known.sources[scored.source])
        generated = any(source.generated for source in sources)  # from patterns, whose words recur
        partly = np.zeros(0, np.bool_) if generated else self._partly_repeated(pair, codes, language)
        return _Overlap(language, repeated, tested, int(partly.sum()), len(partly))

    def _partly_repeated(self, pair: _Pair, codes: tuple[str, ...], language: str) -> Flags:
        """(items) which test items share a long run of words, or half of their words, with what is used."""
        used, scored = pair.used, pair.scored
        items = self._contents.items((scored.task, scored.source, language, "test"))
        hit = items.shared_with(self._all_runs(used.task, used.source, codes, pair.split))
        if pair.own or not hit.any():
            return hit
        # What the task's own training and dev splits say of a test item already is its publisher's affair.
        for split in ("train", "dev"):
            if self._there(replace(scored, languages=()), language, split):
                hit &= ~items.shared_with(self._contents.runs((scored.task, scored.source, language, split)))
        return hit

    def _joined_keys(self, task: str, source: str, languages: tuple[str, ...], split: str) -> Keys:
        found = [self._contents.keys((task, source, code, split)) for code in languages]
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))

    def _joined_runs(self, task: str, source: str, languages: tuple[str, ...], split: str) -> Runs:
        return Runs.joined(self._contents.runs((task, source, code, split)) for code in languages)


@dataclass(frozen=True)
class _Pair:
    """A part that is used and one that is scored, with the words in which a message speaks of them."""

    used: TaskPart
    scored: TaskPart
    split: Split
    verb: str

    @property
    def own(self) -> bool:
        """Whether both are splits of one task, from one publisher."""
        return (self.used.task, self.used.source) == (self.scored.task, self.scored.source)

    @property
    def leaks(self) -> str:
        return f"{self.verb} leaks into the test set of '{self.scored.task}'"

    @property
    def items(self) -> str:
        """What the items that are used are called."""
        return "training items" if self.split == "train" else "dev items"


@dataclass(frozen=True)
class _Overlap:
    """What the test items of one language have in common with what is used."""

    language: str
    repeated: Keys
    """Of test items that recur whole."""
    tested: Keys
    """Of all test items, where both sides are items of one format."""
    partly: int
    """Test items that share a long run of words, or half of their words."""
    items: int
    """Test items whose words were compared."""


def _verb(split: Split, task: str) -> str:
    return f"training on '{task}'" if split == "train" else f"choosing by the dev data of '{task}'"


def _split(name: str) -> Split:
    assert name in get_args(Split)
    return name  # type: ignore[return-value]  # as asserted


def _fetched(spec: TaskSpec, source: str, language: str, split: Split) -> bool:
    """Whether a split is here after an attempt to download it; why it is not is told by whatever needs to read it."""
    with suppress(AdapterxError, OSError):
        data.fetch(spec, source, language, split)
    return data.at_hand(spec, source, language, split)


@dataclass(frozen=True)
class _Rows:
    """Which of some published rows a split reads."""

    fold: Fold | None
    why: str
    """What two splits that read the same have in common, for messages."""

    def overlap(self, other: _Rows) -> bool:
        """Whether two choices of the same rows may share some: all but different remainders of one fold."""
        if self.fold is None or other.fold is None or self.fold.of != other.fold.of:
            return True
        return bool({*self.fold.keep} & {*other.fold.keep})


def _published(spec: TaskSpec, split: Split) -> dict[tuple[str, ...], _Rows]:
    """The published rows that a split reads in any language, by their names."""
    return {
        name: _Rows(fold, source.same_rows)
        for source in spec.sources.values()
        for name, fold in source.published(spec.languages, split).items()
    }


def _leak(pair: _Pair, found: _Overlap) -> str | None:
    """Why a language's test items forbid the pair: no long one may recur, but for a few of a task's own."""
    long, all_long = int((found.repeated & 1).sum()), int((found.tested & 1).sum())
    most = OWN_SHARE * all_long if pair.own else 0
    if len(found.repeated) > ANY_SHARE * len(found.tested) or long > most:
        return f"{pair.leaks}: {_whole(pair, found)}"
    if not pair.own and found.partly > ANY_SHARE * found.items:
        return f"{pair.leaks}: {_part(pair, found)}"
    return None


def _let_pass(pair: _Pair, overlaps: Sequence[_Overlap]) -> Iterator[str]:
    """What is shared but too little to forbid a pair, told of the language with most of it."""
    if whole := [one for one in overlaps if len(one.repeated)]:
        worst = max(whole, key=lambda one: len(one.repeated))
        long = int((worst.repeated & 1).sum())
        yield f"{_whole(pair, worst)}, {long} of them longer than {LONG} bytes{_others(whole)}; that few are let pass"
    if part := [one for one in overlaps if one.partly]:
        worst = max(part, key=lambda one: one.partly)
        yield f"{_part(pair, worst)}{_others(part)}; that {'is' if pair.own else 'few are'} let pass"


def _whole(pair: _Pair, found: _Overlap) -> str:
    return (
        f"{len(found.repeated):,} of the {len(found.tested):,} test items of '{pair.scored.task}' in {found.language}"
        f" are also {pair.items} of '{pair.used.task}'"
    )


def _part(pair: _Pair, found: _Overlap) -> str:
    return (
        f"{found.partly:,} of the {found.items:,} test items of '{pair.scored.task}' in {found.language} have half of"
        f" their words, or {RUN} in a row, in {pair.items} of '{pair.used.task}'"
    )


def _others(overlaps: Sequence[_Overlap]) -> str:
    more = len(overlaps) - 1
    return f" (no more in {more} other language{'s' if more > 1 else ''})" if more else ""
