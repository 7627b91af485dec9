"""Examples whose two texts are in two languages, made of a task whose items are the same in several."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from adapterx.limits import Limit
from adapterx.tasks import data
from adapterx.tasks.examples import Example
from adapterx.tasks.spec import TaskSpec

VERSION = 1
"""Raised when the same examples would be paired in another way."""


def paired(
    spec: TaskSpec, source: str, languages: Sequence[str], split: str, limit: Limit | None = None
) -> dict[str, list[Example]]:
    """By the language of the first text, an example for each item of it that another of the languages has as well.

    Which of them the second text is in follows from the item and the first language: every one is as likely. All
    languages' texts are in memory meanwhile.

    Raises what loading raises.
    """
    known = {code: _by_id(data.stream(spec, source, code, split, limit)) for code in languages}
    return {code: list(_of(spec, code, known)) for code in languages}


def _by_id(examples: Iterator[Example]) -> dict[str, Example]:
    """The first example of every id."""
    found: dict[str, Example] = {}
    for one in examples:
        found.setdefault(one.id, one)
    return found


def _of(spec: TaskSpec, first: str, known: Mapping[str, Mapping[str, Example]]) -> Iterator[Example]:
    for id, example in known[first].items():
        others = [code for code, examples in known.items() if code != first and id in examples]
        for second in sorted(others, key=lambda code: _rank(id, first, code)):
            if (made := spec.kind.paired(example, known[second][id])) is not None:
                yield made
                break


def _rank(id: str, first: str, second: str) -> bytes:
    return hashlib.blake2b(f"{id}\0{first}\0{second}".encode(), digest_size=8).digest()
