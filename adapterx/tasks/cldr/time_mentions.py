"""Tagging: moments in the past and future, durations, dates and measures in enumerations.

A number and a unit alone do not tell a past moment from a future one or a duration; "ago" and "in" do, or a case
ending, or nothing but the order of the words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws, split_of
from adapterx.tasks.cldr.moments import lengths
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.tagging import TaggingExample

VERSION = 1
KINDS = ("PAST", "FUTURE", "DURATION", "DATE", "MEASURE")
LABELS = ("O", *(f"{prefix}-{kind}" for kind in KINDS for prefix in "BI"))

_MEASURES = (
    "length-kilometer", "length-meter", "length-centimeter", "length-mile", "mass-kilogram", "mass-gram", "mass-ounce",
    "volume-liter", "volume-milliliter", "temperature-celsius", "digital-megabyte", "power-watt", "area-hectare",
    "concentr-percent",
)  # fmt: skip
_MAX_MEASURE = 100
_PLACES = re.compile(r"\{(\d)\}")


@dataclass(frozen=True, slots=True)
class Mention:
    """Something to find in a sentence: a quantity of a unit, or month and day in their place."""

    kind: str
    unit: str
    quantity: int
    month: int = 0

    def said(self, language: str) -> str:
        """The mention in words."""
        if self.kind == "DATE":
            return names.day(language, self.month, self.quantity)
        if self.kind in ("PAST", "FUTURE"):
            return names.moment(language, self.unit, self.quantity, self.kind == "PAST")
        return names.amount(language, self.unit, self.quantity)


def examples(language: str, split: Split, count: int, seed: int) -> list[TaggingExample]:
    """The first `count` sentences of a split in a language, each an enumeration of two or three mentions."""
    return [
        _sentence(f"{split}-{number}", language, mentions)
        for number, mentions in enumerate(_mentions(split, count, seed))
    ]


def words(text: str) -> list[str]:
    """Words, numbers and signs, also where a script writes them without spaces: 3天前 is 3 and 天前."""
    found: list[str] = []
    for chunk in text.split():
        last = ""
        for character in chunk:
            kind = _kind(character)
            if kind == last != "sign":
                found[-1] += character
            else:
                found.append(character)
            last = kind
    return found


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    # ° and % are signs of their own; marks (Mn, Mc) belong to the letters they modify.
    return "sign" if unicodedata.category(character)[0] in "PSZ" else "letter"


def _sentence(name: str, language: str, mentions: tuple[Mention, ...]) -> TaggingExample:
    tokens: list[str] = []
    tags: list[int] = []
    for number, part in enumerate(_PLACES.split(names.conjunction(language, len(mentions)))):
        is_mention = number % 2 == 1
        mention = mentions[int(part)] if is_mention else None
        pieces = words(mention.said(language) if mention else part)
        tokens += pieces
        for place in range(len(pieces)):
            tags.append(LABELS.index(f"{'I' if place else 'B'}-{mention.kind}") if mention else 0)
    return TaggingExample(name, tuple(tokens), tuple(tags))


@lru_cache(maxsize=8)
def _mentions(split: Split, count: int, seed: int) -> tuple[tuple[Mention, ...], ...]:
    draws = Draws("time-mentions", seed, split)
    return tuple(
        tuple(_mention(draws, kind, split) for kind in draws.sample(KINDS * 2, draws.pick((2, 2, 3))))
        for _ in range(count)
    )


def _mention(draws: Draws, kind: str, split: Split) -> Mention:
    if kind == "DATE":
        month, day = draws.pick(_dates(split))
        return Mention(kind, "", day, month)
    if kind == "MEASURE":
        return Mention(kind, *draws.pick(_measures(split)))
    seconds = draws.pick(lengths(split).all)
    unit, quantity = draws.pick(lengths(split).forms[seconds])
    return Mention(kind, f"duration-{unit}" if kind == "DURATION" else unit, quantity)


@lru_cache(maxsize=3)
def _dates(split: Split) -> tuple[tuple[int, int], ...]:
    days = (date(2024, 1, 1) + timedelta(days=number) for number in range(366))
    return tuple((day.month, day.day) for day in days if split_of("date", f"{day:%m-%d}") == split)


@lru_cache(maxsize=3)
def _measures(split: Split) -> tuple[tuple[str, int], ...]:
    quantities = range(2, _MAX_MEASURE)
    return tuple((u, q) for u in _MEASURES for q in quantities if split_of("measure", f"{u}/{q}") == split)
