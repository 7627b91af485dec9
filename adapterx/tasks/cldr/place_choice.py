"""Multiple choice: which of four currencies, languages or cities belongs to this territory?"""

from __future__ import annotations

from functools import lru_cache, partial

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.places import RELATIONS, Fact, Places, places
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.multiple_choice import ChoiceExample

VERSION = 1
CHOICES = 4

_HARD = 0.5
"""Of the wrong choices, those that resemble the right one: a city of the same continent."""


def examples(language: str, split: Split, count: int, seed: int) -> list[ChoiceExample]:
    """The first `count` questions of a split in a language; every run of four has each position right once."""
    return [
        ChoiceExample(
            f"{split}-{number}",
            names.territory(language, territory),
            tuple(choice.said(language) for choice in choices),
            right,
        )
        for number, (territory, choices, right) in enumerate(_questions(split, count, seed))
    ]


@lru_cache(maxsize=8)
def _questions(split: Split, count: int, seed: int) -> tuple[tuple[str, tuple[Fact, ...], int], ...]:
    """Territory, choices, position of the right one; outside training each fact is asked about once."""
    draws, available = Draws("place-choice", seed, split), places(split)
    questions: list[tuple[str, tuple[Fact, ...], int]] = []
    seen: set[Fact] = set()
    while len(questions) < count:
        for right in draws.sample(range(CHOICES), CHOICES):
            draw = partial(_fact, draws, available)
            fact = draw() if split == "train" else draws.fresh(draw, seen)
            choices = _wrong(draws, available, fact)
            questions.append((fact.territory, (*choices[:right], fact, *choices[right:]), right))
    return tuple(questions[:count])


def _fact(draws: Draws, available: Places) -> Fact:
    return draws.pick(available.of[draws.pick(RELATIONS)])


def _wrong(draws: Draws, available: Places, fact: Fact) -> list[Fact]:
    wrong: dict[str, Fact] = {}
    while len(wrong) < CHOICES - 1:
        other = available.other(draws, fact, alike=draws.chance(_HARD))
        wrong.setdefault(other.value, other)
    return list(wrong.values())
