"""Pair classification: does this currency, language or city belong to this territory?"""

from __future__ import annotations

from functools import lru_cache, partial

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.places import RELATIONS, Fact, Places, places
from adapterx.tasks.examples import PairExample, Split

LABELS = ("other", "match")
VERSION = 1

_HARD = 0.5
"""Of the pairs that do not match, those whose value resembles the right one: a dollar for a dollar."""


def examples(language: str, split: Split, count: int, seed: int) -> list[PairExample]:
    """The first `count` pairs of a split in a language; every run of two has each label once."""
    return [
        PairExample(f"{split}-{number}", names.territory(language, territory), value.said(language), label)
        for number, (territory, value, label) in enumerate(_pairs(split, count, seed))
    ]


@lru_cache(maxsize=8)
def _pairs(split: Split, count: int, seed: int) -> tuple[tuple[str, Fact, int], ...]:
    """Territory, a fact whose value is asked about, label; none twice outside training.

    A wrong value is drawn by the territory it belongs to, as right ones are, so a value alone says nothing.
    """
    draws, available = Draws("place-match", seed, split), places(split)
    pairs: list[tuple[str, Fact, int]] = []
    seen: set[tuple[str, Fact]] = set()
    while len(pairs) < count:
        for label in draws.sample((0, 1), 2):
            draw = partial(_pair, draws, available, label)
            pairs.append((*(draw() if split == "train" else draws.fresh(draw, seen)), label))
    return tuple(pairs[:count])


def _pair(draws: Draws, available: Places, label: int) -> tuple[str, Fact]:
    fact = draws.pick(available.of[draws.pick(RELATIONS)])
    return fact.territory, fact if label else available.other(draws, fact, alike=draws.chance(_HARD))
