"""An answer, translated by itself, found in the translation of its passage.

Case, accents, punctuation and marks of direction do not count; what is found is a run of the passage's own characters,
which cuts no word, no syllable and no sign made of several characters. All places count code points.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from adapterx.tasks.sources.sentences import sentences

_ACCENTS = frozenset({1, *range(10, 36), 202, 216, 220, 230, 232, 233, 234, 240})
"""Combining classes of marks that may be missing: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowels.
Signs of vowels in other scripts are letters of theirs."""
_TATWEEL, _JOINER = "\u0640", "\u200d"
_GROWTH, _STEM = 3, 5
"""Letters that an ending or an article may add to an answer within a word, and folded letters that it then needs."""
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts that put no spaces between words."""


@dataclass(frozen=True, order=True)
class Occurrence:
    """Where an answer stands: the smaller `looseness` the better."""

    looseness: int
    """0 letter by letter; 1 by folded letters; 2 as most of a longer word, which is taken whole."""
    start: int
    end: int


@dataclass(frozen=True)
class Folded:
    """Folded characters, and for each the place of the one that it was made of."""

    text: str
    places: tuple[int, ...]


@lru_cache(maxsize=256)
def folded(text: str) -> Folded:
    """A text in small letters without accents and punctuation; runs of white space, and dashes, become one space."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for one in _folded(character):
            if one == " " and (not letters or letters[-1] == " "):
                continue
            letters.append(one)
            places.append(place)
    if letters and letters[-1] == " ":
        letters.pop()
        places.pop()
    return Folded("".join(letters), tuple(places))


@cache
def _folded(character: str) -> str:
    """What a character becomes: nothing, a letter or several."""
    found = []
    for one in unicodedata.normalize("NFKD", character.casefold()):
        kind = unicodedata.category(one)
        if one.isspace() or kind == "Pd":
            found.append(" ")
        elif not (kind.startswith("P") or kind == "Cf" or one == _TATWEEL or _is_accent(one)):
            found.append(one)
    return "".join(found)


def _is_accent(one: str) -> bool:
    """Whether a character is a mark that may be missing, or says how a sign is drawn."""
    return unicodedata.combining(one) in _ACCENTS or 0xFE00 <= ord(one) <= 0xFE0F


def occurrences(context: str, wanted: str) -> list[Occurrence]:
    """Everywhere that an answer stands in a passage, the tightest matches alone."""
    found = [one for one in _exact(context, wanted.strip()) if _cuts_nothing(context, one.start, one.end)]
    if not found:
        matches = [(start, _with_marks(context, end)) for start, end in _by_folding(context, wanted)]
        found = [Occurrence(1, *one) for one in matches if _cuts_nothing(context, *one)]
        if not found and len(folded(wanted).text) >= _STEM:
            grown = dict.fromkeys(_grown(context, *one) for one in matches)
            found = [Occurrence(2, *one) for one in grown if one is not None]
    return found


def best(found: Sequence[Occurrence], context: str, source: str, start: int, end: int) -> Occurrence:
    """Of several occurrences the one that stands as the answer stands in the source.

    By the sentence, where both passages have as many; then by which of its occurrences it is, where both have as many;
    then by the place of its middle as a share of the passage.

    Args:
        start: of the answer in the source, `end` its end.
    """
    theirs, ours = ([place for place, _ in sentences(text)] for text in (source, context))
    alike = len(theirs) == len(ours)
    wanted = bisect_right(theirs, start)
    share = (start + end) / 2 / max(1, len(source))
    there = [one.start for one in occurrences(source, source[start:end])]
    rank = bisect_right(there, start) if len(there) == len(found) else None
    numbers = {one: number for number, one in enumerate(sorted(found, key=lambda one: one.start), start=1)}

    def distance(one: Occurrence) -> tuple[int, int, float]:
        away = abs(bisect_right(ours, one.start) - wanted) if alike else 0
        places = 0 if rank is None else abs(numbers[one] - rank)
        return away, places, abs((one.start + one.end) / 2 / max(1, len(context)) - share)

    return min(found, key=distance)


def _exact(context: str, wanted: str) -> list[Occurrence]:
    found, start = [], context.find(wanted) if wanted else -1
    while start >= 0:
        found.append(Occurrence(0, start, start + len(wanted)))
        start = context.find(wanted, start + 1)
    return found


def _by_folding(context: str, wanted: str) -> list[tuple[int, int]]:
    """From and to where the folded answer stands in the folded passage, whole characters alone."""
    passage, answer = folded(context), folded(wanted).text
    found, at = [], passage.text.find(answer) if answer else -1
    while at >= 0:
        last = at + len(answer) - 1
        begins = at == 0 or passage.places[at - 1] != passage.places[at]
        ends = last + 1 == len(passage.places) or passage.places[last + 1] != passage.places[last]
        if begins and ends:
            found.append((passage.places[at], passage.places[last] + 1))
        at = passage.text.find(answer, at + 1)
    return found


def _with_marks(context: str, end: int) -> int:
    """The end of a match with the accents that stand on its last letter."""
    while end < len(context) and _is_accent(context[end]):
        end += 1
    return end


def _cuts_nothing(context: str, start: int, end: int) -> bool:
    """Whether neither end is within a word or a sign."""
    return not (_joined(context, start) or _joined(context, end))


def _joined(context: str, place: int) -> bool:
    """Whether the characters on both sides of a place belong together."""
    if not 0 < place < len(context):
        return False
    before, after = context[place - 1], context[place]
    if _JOINER in (before, after) and not (before.isspace() or after.isspace()):
        return True
    if _is_flag(before) and _is_flag(after):
        return True
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or 0x1F3FB <= ord(after) <= 0x1F3FF:
        return True
    return _in_word(before) and _in_word(after) and not (_is_unspaced(before) or _is_unspaced(after))


def _is_flag(one: str) -> bool:
    """Whether a character is one of the two letters of a flag."""
    return 0x1F1E6 <= ord(one) <= 0x1F1FF


def _grown(context: str, start: int, end: int) -> tuple[int, int] | None:
    """The whole word that a match is most of; None where it is cut on both sides, or more than an ending is added."""
    if _joined(context, start) and _joined(context, end):
        return None
    first, last = start, end
    while _joined(context, first):
        first -= 1
    while _joined(context, last):
        last += 1
    return (first, last) if (start - first) + (last - end) <= _GROWTH else None


def _in_word(one: str) -> bool:
    return one.isalnum() or unicodedata.category(one).startswith("M")


@cache
def _is_unspaced(one: str) -> bool:
    return unicodedata.name(one, "").startswith(_UNSPACED)
