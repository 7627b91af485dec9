"""Pair classification: does this currency, language or city belong to this territory?"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.places import RELATIONS, Fact, Places, places
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.pair_classification import PairExample

LABELS = ("other", "match")
VERSION = 1

_HARD = 0.5
"""Of the pairs that do not match, those whose value resembles the right one: a dollar for a dollar."""


def examples(language: str, split: Split, count: int, seed: int) -> list[PairExample]:
    """The first `count` pairs of a split in a language; every run of two has each label once."""
    return [
        PairExample(f"{split}-{number}", names.territory(language, claim.territory), claim.said(language), label)
        for number, (claim, label) in enumerate(_claims(split, count, seed))
    ]


@lru_cache(maxsize=8)
def _claims(split: Split, count: int, seed: int) -> tuple[tuple[Fact, int], ...]:
    """Facts and falsehoods with their labels; none twice outside training.

    A wrong value is drawn by the territory it belongs to, as right ones are, so a value alone says nothing.
    """
    draws, available = Draws("place-match", seed, split), places(split)
    claims: list[tuple[Fact, int]] = []
    seen: set[Fact] = set()
    while len(claims) < count:
        for label in draws.sample((0, 1), 2):
            draw = partial(_claim, draws, available, label)
            claims.append((draw() if split == "train" else draws.fresh(draw, seen), label))
    return tuple(claims[:count])


def _claim(draws: Draws, available: Places, label: int) -> Fact:
    fact = draws.pick(available.of[draws.pick(RELATIONS)])
    return fact if label else replace(fact, value=available.other(draws, fact, alike=draws.chance(_HARD)).value)
