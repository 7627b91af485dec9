"""The items of the place family: territories with their currency, official languages and cities.

From Babel's global CLDR data: the tender in use, languages with official status, and cities that name time zones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from adapterx.tasks.cldr import names
from adapterx.tasks.cldr.draws import Draws, split_of
from adapterx.tasks.examples import Split

Relation = Literal["currency", "language", "city"]
RELATIONS: tuple[Relation, ...] = ("currency", "language", "city")

# Named in too few of the languages for a parallel test.
_UNNAMED = frozenset({"XCG", "ZWG", "hif", "ho", "tkl", "wni", "zdj"})
_OFFICIAL = ("official", "de_facto_official")
_PER_RELATION = 3
# A currency of more territories than this keeps them all in training: set apart, the euro alone would fill the test.
_SHARED_WIDELY = 8


@dataclass(frozen=True, slots=True)
class Fact:
    """A value that belongs to a territory: (JP, currency, JPY)."""

    territory: str
    relation: Relation
    value: str

    def said(self, language: str) -> str:
        """The value in words: "Japanese Yen"."""
        name = {"currency": names.currency, "language": names.tongue, "city": names.city}[self.relation]
        return name(language, self.value)

    def alike(self) -> str:
        """What values that are easily taken for this one share: Dollar, a continent."""
        if self.relation == "currency":
            return names.currency("en", self.value).rpartition(" ")[2]
        return self.value.partition("/")[0] if self.relation == "city" else ""


class Places:
    """The facts of one split, and what is true of its territories."""

    def __init__(self, facts: tuple[Fact, ...], true: Mapping[str, frozenset[str]]) -> None:
        self.facts = facts
        self.of = {relation: tuple(f for f in facts if f.relation == relation) for relation in RELATIONS}
        self._true = true
        self._alike: dict[tuple[Relation, str], tuple[Fact, ...]] = {
            key: tuple(found) for key, found in _grouped(facts).items()
        }

    def true(self, territory: str, value: str) -> bool:
        """Whether a value belongs to a territory, by any tender, by 1 % of speakers or a regional status too."""
        return value in self._true[territory]

    def other(self, draws: Draws, fact: Fact, alike: bool) -> Fact:
        """A fact of the same relation whose value does not belong to this territory; alike where there is one."""
        near = self._alike[fact.relation, fact.alike()]
        if alike and (wrong := [other for other in near if not self.true(fact.territory, other.value)]):
            return draws.pick(wrong)
        while True:
            other = draws.pick(self.of[fact.relation])
            if not self.true(fact.territory, other.value):
                return other


@lru_cache(maxsize=3)
def places(split: Split) -> Places:
    """The territories that belong to a split. Those that share a currency stay together."""
    everything = _by_currency()
    chosen = [
        territory
        for currency, territories in everything.items()
        for territory in territories
        if ("train" if len(territories) > _SHARED_WIDELY else split_of("currency", currency, dev=12, test=30)) == split
    ]
    facts = tuple(fact for territory in sorted(chosen) for fact in _facts(territory))
    return Places(facts, {territory: _true(territory) for territory in chosen})


def _grouped(facts: tuple[Fact, ...]) -> dict[tuple[Relation, str], list[Fact]]:
    groups: dict[tuple[Relation, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact.relation, fact.alike()].append(fact)
    return groups


def _by_currency() -> dict[str, list[str]]:
    from babel.core import get_global

    groups: dict[str, list[str]] = defaultdict(list)
    for territory in sorted(get_global("territory_currencies")):
        if current := _current(territory):
            groups[current[-1]].append(territory)
    return groups


def _current(territory: str) -> list[str]:
    """Currencies that are legal tender and have no end date, the newest last."""
    from babel.core import get_global

    listed = get_global("territory_currencies")[territory]
    return [code for code, _, end, tender in listed if end is None and tender and code not in _UNNAMED]


def _facts(territory: str) -> list[Fact]:
    from babel.core import get_global

    languages = get_global("territory_languages").get(territory, {})
    official = [code for code, facts in languages.items() if facts["official_status"] in _OFFICIAL]
    spoken = [code for code in official if "_" not in code and code not in _UNNAMED]
    own_name = names.territory("en", territory)
    cities = [zone for zone in _zones(territory) if names.city("en", zone) not in own_name]
    spaced = cities[:: max(1, len(cities) // _PER_RELATION)]
    return [
        *(Fact(territory, "currency", code) for code in _current(territory)[-1:]),
        *(Fact(territory, "language", code) for code in spoken[:_PER_RELATION]),
        *(Fact(territory, "city", zone) for zone in spaced[:_PER_RELATION]),
    ]


def _true(territory: str) -> frozenset[str]:
    from babel.core import get_global

    languages = get_global("territory_languages").get(territory, {})
    spoken = {code for code, facts in languages.items() if facts["official_status"] or facts["population_percent"] >= 1}
    return frozenset({*_current(territory), *spoken, *_zones(territory)})


def _zones(territory: str) -> list[str]:
    from babel.core import get_global

    return [zone for zone in get_global("territory_zones").get(territory, []) if not zone.startswith("Etc/")]
