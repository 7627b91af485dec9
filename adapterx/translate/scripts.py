"""Whether a text is in a script of its language, by the names of its letters; told, never a reason to leave it out."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache

_NAMES: Mapping[str, frozenset[str]] = {
    "Arab": frozenset({"ARABIC"}),
    "Armn": frozenset({"ARMENIAN"}),
    "Beng": frozenset({"BENGALI"}),
    "Cyrl": frozenset({"CYRILLIC"}),
    "Deva": frozenset({"DEVANAGARI"}),
    "Ethi": frozenset({"ETHIOPIC"}),
    "Geor": frozenset({"GEORGIAN"}),
    "Grek": frozenset({"GREEK"}),
    "Gujr": frozenset({"GUJARATI"}),
    "Guru": frozenset({"GURMUKHI"}),
    "Hans": frozenset({"CJK"}),
    "Hant": frozenset({"CJK"}),
    "Hebr": frozenset({"HEBREW"}),
    "Jpan": frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    "Khmr": frozenset({"KHMER"}),
    "Knda": frozenset({"KANNADA"}),
    "Kore": frozenset({"HANGUL", "CJK"}),
    "Laoo": frozenset({"LAO"}),
    "Latn": frozenset({"LATIN"}),
    "Mlym": frozenset({"MALAYALAM"}),
    "Mymr": frozenset({"MYANMAR"}),
    "Sinh": frozenset({"SINHALA"}),
    "Taml": frozenset({"TAMIL"}),
    "Telu": frozenset({"TELUGU"}),
    "Thai": frozenset({"THAI"}),
}
"""The first words of the names of a script's letters, in Unicode."""


def is_other(text: str, language: str) -> bool:
    """Whether most letters of a text are of no script of its language; of a language that is not known none are."""
    expected = _expected(language)
    letters = [_first_word(one) for one in text if one.isalpha()]
    return bool(expected and letters) and 2 * sum(one in expected for one in letters) < len(letters)


@cache
def _first_word(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


@cache
def _expected(language: str) -> frozenset[str]:
    """By CLDR's likeliest script of a language, or the one that its code names."""
    from babel.core import get_global

    base, *rest = language.replace("_", "-").split("-")
    likely = str(get_global("likely_subtags").get(base, "")).split("_")[1:]
    named = [part.title() for part in (*rest, *likely) if len(part) == 4 and part.isalpha()]
    return _NAMES.get(named[0], frozenset()) if named else frozenset()
