"""What a translated text is made to be, and what is asked of it before it is believed.

Bounds are generous: they find what an engine has left out, repeated or not answered, not what it has translated badly.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 5
"""Times the characters of its source, which a translation may have beside `ROOM`."""
SHORTEST = 10
"""Times the characters of a translation, which its source may have beside `ROOM`: Chinese takes a third of English."""
ROOM = 20
"""Characters: short texts differ by more than any ratio."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_HALVES = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile("[\\s\u200b-\u200d\u2060\ufeff]*")
"""What a reader of files takes for no text."""
HALF = "it holds half of a surrogate pair, which is no character"


def normalised(text: str) -> str:
    """A text on one line: control characters and ends of lines become a space, and none stands at its ends."""
    return _CONTROL.sub(" ", text).strip()


def fault(source: str, translation: str) -> str:
    """Why a normalised translation is not believed; empty where it is."""
    if _INVISIBLE.fullmatch(translation):
        return "the engine gave nothing"
    if _HALVES.search(translation):
        return HALF
    read, said = len(source.strip()), len(translation)
    if said > LONGEST * read + ROOM:
        return f"{said:,} characters for {read:,} are too many (the bound is {LONGEST} times as many and {ROOM})"
    if read > SHORTEST * said + ROOM:
        return f"{said:,} characters for {read:,} are too few (the bound is {SHORTEST} times as few, less {ROOM})"
    return ""


def is_whole(text: str) -> bool:
    """Whether a text is made of characters, so that it can be written down."""
    return _HALVES.search(text) is None


def is_copy(source: str, translation: str) -> bool:
    """Whether a translation is its source again, in which there is a letter to translate."""
    same = unicodedata.normalize("NFKC", source.strip()) == unicodedata.normalize("NFKC", translation.strip())
    return same and any(map(str.isalpha, source))
