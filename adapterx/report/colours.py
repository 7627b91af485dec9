"""Colours that colour-blind readers can tell apart."""

from __future__ import annotations

LOSS, ZERO, GAIN = (179, 88, 6), (250, 249, 246), (33, 102, 172)
"""Ends and middle of ColorBrewer's orange to blue, which stay apart in every common colour blindness."""
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's palette, strongest first."""
INK = "#1b1b1b"


DARK_LOSS, DARK_ZERO, DARK_GAIN = (196, 98, 16), (34, 33, 31), (58, 126, 196)
"""The same on a dark page, where zero is as dark as the page."""


Colours = tuple[str, str]
"""Background and text, as #rrggbb."""


def diverging(value: float, limit: float) -> Colours:
    """Colours of a light page for a value between -limit and limit, pale at zero."""
    share = max(-1.0, min(1.0, value / limit)) if limit > 0 else 0.0
    return _mixed(ZERO, GAIN if share > 0 else LOSS, abs(share))


def in_the_dark(colours: Colours) -> Colours:
    """What `diverging` gives, for a dark page."""
    rgb = [int(colours[0][at : at + 2], 16) for at in (1, 3, 5)]
    gain = rgb[2] >= rgb[0]
    end, dark = (GAIN, DARK_GAIN) if gain else (LOSS, DARK_LOSS)
    channel = 0 if gain else 2  # where both ends are furthest from the middle
    share = (ZERO[channel] - rgb[channel]) / (ZERO[channel] - end[channel])
    return _mixed(DARK_ZERO, dark, max(0.0, min(1.0, share)))


def _mixed(middle: tuple[int, int, int], end: tuple[int, int, int], share: float) -> Colours:
    """A background between two colours, and black or white upon it, whichever contrasts more (WCAG 2.2)."""
    rgb = [round(start + share * (far - start)) for start, far in zip(middle, end, strict=True)]
    # Black above a luminance of 0.18, and never below 4.5 : 1.
    linear = [((one / 255 + 0.055) / 1.055) ** 2.4 for one in rgb]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#{:02x}{:02x}{:02x}".format(*rgb), "#000000" if luminance > 0.18 else "#ffffff"


def line(index: int) -> str:
    """Colour of the index-th line of a figure, starting over after the last."""
    return LINES[index % len(LINES)]
