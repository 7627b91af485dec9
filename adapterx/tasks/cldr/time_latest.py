"""Multiple choice: which of four moments is the latest?"""

from __future__ import annotations

from functools import lru_cache

from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.moments import Lengths, Moment, lengths
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.multiple_choice import ChoiceExample

VERSION = 1
CHOICES = 4


def examples(language: str, split: Split, count: int, seed: int) -> list[ChoiceExample]:
    """The first `count` questions of a split in a language; every run of four has each position right once."""
    return [
        ChoiceExample(f"{split}-{number}", "", tuple(moment.said(language) for moment in moments), right)
        for number, (moments, right) in enumerate(_questions(split, count, seed))
    ]


@lru_cache(maxsize=8)
def _questions(split: Split, count: int, seed: int) -> tuple[tuple[tuple[Moment, ...], int], ...]:
    draws, available = Draws("time-latest", seed, split), lengths(split)
    questions: list[tuple[tuple[Moment, ...], int]] = []
    while len(questions) < count:
        for right in draws.sample(range(CHOICES), CHOICES):
            *others, latest = sorted(_moments(draws, available), key=lambda moment: moment.position)
            others = draws.sample(others, len(others))
            questions.append(((*others[:right], latest, *others[right:]), right))
    return tuple(questions[:count])


def _moments(draws: Draws, available: Lengths) -> list[Moment]:
    moments: list[Moment] = []
    while len(moments) < CHOICES:
        moment = available.draw(draws, past=draws.chance(0.5))
        if all(moment.differs(other) for other in moments):
            moments.append(moment)
    return moments
