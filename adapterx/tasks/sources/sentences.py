"""Questions whose answers stand in one sentence of a passage, to be found among the sentences of all passages.

As LAReQA makes retrieval out of extractive QA (Roy et al. 2020, arXiv 2004.05484). Passages are cut by punctuation
alone, so counts differ a little from those of its own cutter; a script without marks at the ends of sentences, as
Thai's, leaves a passage whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from adapterx.tasks.examples import Example

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
