"""Questions whose answers stand in one sentence of a passage, to be found among the sentences of all passages.

As LAReQA makes retrieval out of extractive QA (Roy et al. 2020, arXiv 2004.05484). Passages are cut by punctuation
alone, so counts differ a little from those of its own cutter; a script without marks at the ends of sentences, as
Thai's, leaves a passage whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from adapterx.config.fields import Name
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Example, Split
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.sources.entry import Entry

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec

VERSION = 1
"""Raised whenever the same passages would be cut into other sentences."""

_END = re.compile(
    r"""
    (?: (?<!\b\w) (?<!\b\w\w) [.] | [!?…؟۔։] ) ["'”’»)\]]* \s+ (?= [^\s\d\W_] | ["'“‘«„(¿¡\[] | \d )
    | [।॥] \s*
    | [。！？] [”’」』）]*
    """,
    re.VERBOSE,
)
"""A mark that ends a sentence, with what closes after it; a point does not after one or two letters, which are initials
or abbreviations."""


def sentences(text: str) -> list[tuple[int, str]]:
    """The sentences of a passage, each with the character it starts at."""
    found, start = [], 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        if text[start:end].strip():
            lead = len(text[start:end]) - len(text[start:end].lstrip())
            found.append((start + lead, text[start:end].strip()))
            start = end
    return found


def examples(questions: Iterable[Any], make: type[Any]) -> Iterator[Example]:
    """Questions that have an answer, then all sentences, each once, in the order of the passages.

    Args:
        questions: with `id`, `question`, `context` and `answers`, each of which has a `start` in the context.
        make: the type of the examples, of an id, a text, and the places of what is to be found (None of a sentence).
    """
    places: dict[str, int] = {}
    cut: dict[str, list[tuple[int, str]]] = {}
    for question in questions:
        if question.context not in cut:
            cut[question.context] = sentences(question.context)
            for _, text in cut[question.context]:
                places.setdefault(text, len(places))
        if question.answers:
            starts = [start for start, _ in cut[question.context]]
            holding = [max(0, bisect_right(starts, answer.start) - 1) for answer in question.answers]
            found = dict.fromkeys(places[cut[question.context][number][1]] for number in holding)
            yield make(question.id, question.question, tuple(found))
    for text, place in places.items():
        yield make(f"sentence-{place}", text, None)


class SentencesSource(SourceSpec):
    """Questions of an extractive QA task, to find the sentences that hold their answers among all sentences.

    What it asks of the other task is imported where it is asked, since tasks know the kinds of source.
    """

    kind: Literal["sentences"]
    task: Name
    """Of the catalog."""
    source: str
    """Which of its sources."""

    @property
    def in_words(self) -> str:
        """Whose passages are cut."""
        return f"sentences of the passages of `{self.task}`"

    @property
    def split_names(self) -> None:
        """Those of the task whose passages are cut."""

    @property
    def made_of(self) -> tuple[str, str]:
        """The task whose questions and passages these are."""
        return self.task, self.source

    def check_format(self, task: TaskSpec, name: str) -> None:
        """Refuse tasks that search for nothing."""
        if not task.kind.searched:
            raise ValueError(f"source {name}: the kind {self.kind} and the format retrieval go together")

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """The questions that have an answer, then all sentences."""
        from adapterx.tasks import data

        return examples(data.stream(*self._asked, language, split), task.kind.example)

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """How passages are cut, and what decides them."""
        from adapterx.tasks import data

        return {"sentences": [VERSION, data.fingerprint(*self._asked, cast(Mapping[str, Sequence[str]], splits))]}

    def size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """The number of questions, as far as all have an answer."""
        from adapterx.tasks import data

        return data.sizes(*self._asked, language, split)

    def known_size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """The same without asking the network."""
        from adapterx.tasks import data

        return data.known_size(*self._asked, language, split)

    def texts(self, task: TaskSpec, language: str, split: Split) -> None:
        """Unknown: how many sentences a passage has is known once it is cut."""

    def paths(self, language: str, split: Split) -> list[Path]:
        """The files of the passages."""
        from adapterx.tasks import data

        return data.paths(*self._asked, language, split)

    def at_hand(self, language: str, split: Split) -> bool:
        """Whether the passages are."""
        from adapterx.tasks import data

        return data.at_hand(*self._asked, language, split)

    def fetch(self, language: str, split: Split) -> None:
        """Download the passages."""
        from adapterx.tasks import data

        data.fetch(*self._asked, language, split)

    def read_ahead(self, language: str, split: Split) -> bool:
        """Whether a plan reads the questions as they are."""
        task, source = self._asked
        return task.sources[source].read_ahead(language, split)

    @property
    def _asked(self) -> tuple[TaskSpec, str]:
        """The task whose passages are cut, and which of its sources."""
        from adapterx.tasks.catalog import find

        return find(self.task), self.source
