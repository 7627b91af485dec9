"""Pair classification: is the first moment earlier than the second, the same, or later?"""

from __future__ import annotations

from functools import lru_cache, partial

from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.moments import Lengths, Moment, lengths
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.pair_classification import PairExample

LABELS = ("earlier", "same", "later")
VERSION = 1

_OPPOSITE = 0.5
"""Of the unequal pairs, those with one moment in the past and one in the future."""
_NEAR_MISS = 0.3
"""Of the others, those made of lengths with several forms, as equal pairs are: 14 days against 3 weeks."""


def examples(language: str, split: Split, count: int, seed: int) -> list[PairExample]:
    """The first `count` pairs of a split in a language; every run of three has each label once."""
    return [
        PairExample(f"{split}-{number}", first.said(language), second.said(language), LABELS.index(label))
        for number, (first, second, label) in enumerate(_pairs(split, count, seed))
    ]


@lru_cache(maxsize=8)
def _pairs(split: Split, count: int, seed: int) -> tuple[tuple[Moment, Moment, str], ...]:
    """Pairs of moments, none twice outside training, where the few equal ones recur."""
    draws, available = Draws("time-order", seed, split), lengths(split)
    pairs: list[tuple[Moment, Moment, str]] = []
    seen: set[tuple[Moment, Moment]] = set()
    while len(pairs) < count:
        for label in draws.sample(LABELS, len(LABELS)):
            draw = partial(_equal if label == "same" else _unequal, draws, available, label)
            pairs.append((*(draw() if split == "train" else draws.fresh(draw, seen)), label))
    return tuple(pairs[:count])


def _equal(draws: Draws, available: Lengths, _label: str) -> tuple[Moment, Moment]:
    seconds, past = draws.pick(available.several), draws.chance(0.5)
    first, second = draws.sample(available.forms[seconds], 2)
    return Moment(seconds, *first, past), Moment(seconds, *second, past)


def _unequal(draws: Draws, available: Lengths, label: str) -> tuple[Moment, Moment]:
    past, opposite = draws.chance(0.5), draws.chance(_OPPOSITE)
    several = not opposite and draws.chance(_NEAR_MISS)
    first = available.draw(draws, past, several)
    while True:
        second = available.draw(draws, past != opposite, several)
        if first.differs(second):
            return (first, second) if (first.position < second.position) == (label == "earlier") else (second, first)
