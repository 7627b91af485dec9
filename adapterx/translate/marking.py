"""An answer marked within a passage, and found again by its marks in the translation of the passage.

An engine may move a mark's spaces, and letters of a tag may change their case; whatever else becomes of marks (one is
gone, stands twice, or after the other) makes the translation useless for this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from adapterx.translate.engines.base import Markers

_CLOSING = ".,;:!?)]}。、，；：！？"
"""What stands right after a word, where its source had no space there."""
DROPPED, DOUBLED, REORDERED = "the engine dropped a mark", "the engine doubled a mark", "the engine turned marks around"
EMPTY = "nothing stands between the marks"


def chosen(context: str, known: Sequence[Markers]) -> Markers | None:
    """The first pair of marks of which nothing stands in the passage itself; None where there is none."""
    return next((pair for pair in known if not any(_pattern(mark).search(context) for mark in pair)), None)


def marked(context: str, start: int, end: int, marks: Markers) -> str:
    """A passage with the characters from `start` to `end` between marks, white space at their ends left outside."""
    inner = context[start:end]
    start += len(inner) - len(inner.lstrip())
    end -= len(inner) - len(inner.rstrip())
    return f"{context[:start]}{marks[0]}{context[start:end]}{marks[1]}{context[end:]}"


def unmarked(translation: str, marks: Markers, spaced: bool) -> tuple[str, int, int] | str:
    """A passage without its marks, and the characters that stood between them, from and to; or what is wrong.

    Args:
        spaced: whether there was white space after the answer in the source.
    """
    found = [list(_pattern(mark).finditer(translation)) for mark in marks]
    counts = [len(one) for one in found]
    if 0 in counts:
        return DROPPED
    if counts != [1, 1]:
        return DOUBLED
    (opening,), (closing,) = found
    if opening.end() > closing.start():
        return REORDERED
    before, inner = translation[: opening.start()], translation[opening.end() : closing.start()]
    after = translation[closing.end() :]
    answer = inner.strip()
    if not answer:
        return EMPTY
    lead = " " if before.strip() and (before != before.rstrip() or inner != inner.lstrip()) else ""
    trail = " " if after.strip() and (after != after.lstrip() or inner != inner.rstrip()) else ""
    if trail and not spaced and after.lstrip()[0] in _CLOSING:
        trail = ""
    head = before.rstrip() + lead
    return f"{head}{answer}{trail}{after.lstrip()}".rstrip(), len(head), len(head) + len(answer)


def overlapping(marks: Markers) -> bool:
    """Whether one mark of a pair would be found within the other, so that they cannot be told apart."""
    return any(_pattern(one).search(other) is not None for one, other in (marks, marks[::-1]))


@cache
def _pattern(mark: str) -> re.Pattern[str]:
    """A mark with white space between its characters, and in small or capital letters."""
    return re.compile(r"\s*".join(map(re.escape, mark)), re.IGNORECASE)
