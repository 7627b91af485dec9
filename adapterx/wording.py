"""Values of unknown origin, made fit to stand in a message, and sizes in units. Depends on no other package."""

from __future__ import annotations

LONGEST = 80


def shown(value: object, longest: int = LONGEST) -> str:
    """`repr(value)` on one line of at most `longest` characters, without control characters.

    Characters that a terminal would obey rather than print (escape sequences, bidirectional overrides, separators of
    lines) are escaped; what is cut ends in '…'. A long text or list is cut before its `repr` is made.
    """
    if isinstance(value, str | bytes) and len(value) > longest:
        value, cut = value[:longest], True
    elif isinstance(value, list | tuple) and len(value) > longest:
        value, cut = list(value[:longest]), True
    else:
        cut = False
    text = plain(repr(value), longest=None)
    if len(text) > longest or cut:
        return text[: longest - 1] + "…"
    return text


def plain(text: str, longest: int | None = LONGEST) -> str:
    """A text on one line of at most `longest` characters, what is not printable escaped; for texts without quotes."""
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def size(count: float) -> str:
    """Bytes in decimal units, two or three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
