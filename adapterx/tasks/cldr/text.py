"""Text in a language: a place with what belongs to it, and moments, in short lists. For masked language modelling."""

from __future__ import annotations

from functools import lru_cache

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.moments import Moment, lengths
from adapterx.tasks.cldr.places import RELATIONS, Fact, places
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.masked_lm import TextExample

VERSION = 1


def examples(language: str, split: Split, count: int, seed: int) -> list[TextExample]:
    """The first `count` texts of a split in a language: "Japan: Japanese Yen, Tokyo; in 3 days, 2 weeks ago"."""
    return [
        TextExample(f"{split}-{number}", _said(language, facts, moments))
        for number, (facts, moments) in enumerate(_contents(split, count, seed))
    ]


@lru_cache(maxsize=8)
def _contents(split: Split, count: int, seed: int) -> tuple[tuple[tuple[Fact, ...], tuple[Moment, ...]], ...]:
    """Two facts and two moments a text, of the split's own items: nothing that is tested in a task is read here."""
    draws, known, available = Draws("cldr-text", seed, split), places(split), lengths(split)
    return tuple(
        (
            tuple(draws.pick(known.of[draws.pick(RELATIONS)]) for _ in range(2)),
            tuple(available.draw(draws, past=draws.chance(0.5)) for _ in range(2)),
        )
        for _ in range(count)
    )


def _said(language: str, facts: tuple[Fact, ...], moments: tuple[Moment, ...]) -> str:
    pairs = [f"{names.territory(language, fact.territory)}: {fact.said(language)}" for fact in facts]
    both = names.conjunction(language, 2).format(*(moment.said(language) for moment in moments))
    return "; ".join([*pairs, both])
