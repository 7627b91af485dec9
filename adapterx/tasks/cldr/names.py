"""What CLDR calls things in a language: moments, amounts, dates, territories, currencies, languages, cities, lists.

Digits are Western in every language. Spaces that do not break and direction marks are normalised, as XLM-R's
tokenizer would do with the first and nobody reads the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

LANGUAGES = (
    "en", "de", "fr", "es", "pl", "fi", "hu", "tr", "id", "vi", "sw",  # Latin script
    "ru", "uk", "el", "ar", "he", "hi", "bn", "ta", "th", "ja", "ko", "zh", "ka",  # twelve more scripts
)  # fmt: skip

_MARKS = re.compile("[\u200e\u200f\u061c]")
_SPACES = re.compile(r"\s+")
_LEAP_YEAR = 2024


@lru_cache(maxsize=64)
def locale(language: str) -> Any:
    """The locale of a language, loaded once per process (Babel takes some 10 ms for each)."""
    from babel import Locale

    return Locale.parse(language)


@lru_cache(maxsize=65536)
def moment(language: str, unit: str, quantity: int, past: bool) -> str:
    """A moment relative to now: "3 days ago", "in 2 weeks"."""
    patterns = locale(language)._data["date_fields"][unit]["past" if past else "future"]
    return _counted(language, patterns, quantity)


@lru_cache(maxsize=65536)
def amount(language: str, unit: str, quantity: int) -> str:
    """An amount of a CLDR unit in its long form: "3 days" (duration-day), "5 kilometers" (length-kilometer)."""
    widths = locale(language)._data["unit_patterns"][unit]
    # CLDR writes the long form out only where it differs from the short one.
    long = widths.get("long", {})
    return _counted(language, long if "other" in long else widths["short"], quantity)


@lru_cache(maxsize=65536)
def day(language: str, month: int, day_of_month: int) -> str:
    """A day of the year: "March 5"."""
    from babel.dates import format_skeleton

    return _clean(format_skeleton("MMMMd", date(_LEAP_YEAR, month, day_of_month), locale=locale(language)))


def territory(language: str, code: str) -> str:
    """A country or territory: "Japan" (JP)."""
    return _clean(locale(language).territories[code])


def currency(language: str, code: str) -> str:
    """A currency: "Japanese Yen" (JPY)."""
    return _clean(locale(language).currencies[code])


def tongue(language: str, code: str) -> str:
    """A language: "Japanese" (ja)."""
    return _clean(locale(language).languages[code])


def city(language: str, zone: str) -> str:
    """The city a time zone is named after: "Tokyo" (Asia/Tokyo). CLDR leaves out what the identifier already says."""
    zones = locale(language)._data["time_zones"]
    given = (zones[name].get("city") for name in (zone, *_former_names().get(zone, ())) if name in zones)
    return _clean(next(filter(None, given), zone.rpartition("/")[2].replace("_", " ")))


@lru_cache(maxsize=1)
def _former_names() -> dict[str, tuple[str, ...]]:
    """Time zones by their present name; locales still list some under a former one (Kolkata under Calcutta)."""
    from babel.core import get_global

    former: dict[str, tuple[str, ...]] = {}
    for old, new in get_global("zone_aliases").items():
        former[new] = (*former.get(new, ()), old)
    return former


@lru_cache(maxsize=256)
def conjunction(language: str, count: int) -> str:
    """A list of two or three as a template with {0} … {2}: "{0}, {1}, and {2}"."""
    patterns = locale(language).list_patterns["standard"]
    if count == 2:
        return _clean(patterns["2"])
    end = patterns["end"].replace("{1}", "{2}").replace("{0}", "{1}")
    return _clean(patterns["start"].replace("{1}", end))


def _counted(language: str, patterns: Mapping[str, str], quantity: int) -> str:
    form = locale(language).plural_form(quantity)
    pattern = patterns[form] if form in patterns else patterns["other"]
    return _clean(pattern.replace("{0}", str(quantity)))


def _clean(text: str) -> str:
    return _SPACES.sub(" ", _MARKS.sub("", text)).strip()
