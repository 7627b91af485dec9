"""The items of the time family: lengths of time, each said in one unit or several, and moments that far from now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws, split_of

# Seconds in a unit; months are twelfths of the mean Gregorian year, so 12 months are exactly a year.
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_746,
    "quarter": 7_889_238,
    "year": 31_556_952,
}
# How many of each are said: the everyday range, and the multiples that make a round number of the next unit.
_QUANTITIES = {
    "second": [*range(2, 60), *range(60, 601, 60)],
    "minute": [*range(1, 60), *range(60, 601, 60)],
    "hour": [*range(1, 24), *range(24, 241, 24)],
    "day": [*range(1, 32), *range(35, 85, 7)],
    "week": [*range(1, 13)],
    "month": [*range(1, 25), *range(27, 37, 3), *range(48, 121, 12)],
    "quarter": [*range(1, 13)],
    "year": [*range(1, 31)],
}
_CLEARLY_DIFFERENT = 1.25


@dataclass(frozen=True, slots=True)
class Moment:
    """A length of time before or after now, and how it is said."""

    seconds: int
    unit: str
    quantity: int
    past: bool

    @property
    def position(self) -> int:
        """Seconds after now, negative for the past."""
        return -self.seconds if self.past else self.seconds

    def said(self, language: str) -> str:
        """The moment in words: "3 days ago"."""
        return names.moment(language, self.unit, self.quantity, self.past)

    def differs(self, other: Moment) -> bool:
        """Whether nobody could take the two for the same moment; a month against 30 days does not differ."""
        small, large = sorted((self.seconds, other.seconds))
        return self.past != other.past or large >= _CLEARLY_DIFFERENT * small


class Lengths:
    """The lengths of time of one split."""

    def __init__(self, forms: Mapping[int, tuple[tuple[str, int], ...]]) -> None:
        self.forms = forms
        """Seconds → the ways to say them: 604,800 → (day, 7), (week, 1)."""
        self.all = tuple(forms)
        self.several = tuple(seconds for seconds, said in forms.items() if len(said) > 1)

    def draw(self, draws: Draws, past: bool, several: bool = False) -> Moment:
        """A moment at one of the lengths, or at one with several forms."""
        seconds = draws.pick(self.several if several else self.all)
        unit, quantity = draws.pick(self.forms[seconds])
        return Moment(seconds, unit, quantity, past)


@lru_cache(maxsize=3)
def lengths(split: str) -> Lengths:
    """The lengths of time that belong to a split. The item is the length: 7 days and 1 week are never apart."""
    forms: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for unit, quantities in _QUANTITIES.items():
        for quantity in quantities:
            forms[quantity * _SECONDS[unit]].append((unit, quantity))
    # Lengths with several forms are few: more of them are set apart, so that tests of equality do not repeat.
    chosen = {
        seconds: tuple(said)
        for seconds, said in sorted(forms.items())
        if split_of("length", seconds, *((15, 35) if len(said) > 1 else (12, 25))) == split
    }
    return Lengths(chosen)
