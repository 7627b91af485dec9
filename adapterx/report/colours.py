"""Colours that colour-blind readers can tell apart."""

from __future__ import annotations

LOSS, ZERO, GAIN = (179, 88, 6), (250, 249, 246), (33, 102, 172)
"""Ends and middle of ColorBrewer's orange to blue, which stay apart in every common colour blindness."""
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's palette, strongest first."""
INK = "#1b1b1b"


def diverging(value: float, limit: float) -> tuple[str, str]:
    """Background and text for a value between -limit and limit, pale at zero."""
    share = max(-1.0, min(1.0, value / limit)) if limit > 0 else 0.0
    end = GAIN if share > 0 else LOSS
    rgb = [round(middle + abs(share) * (far - middle)) for middle, far in zip(ZERO, end, strict=True)]
    # Black or white, whichever contrasts more (WCAG 2.2): black above a luminance of 0.18, and never below 4.5 : 1.
    linear = [((one / 255 + 0.055) / 1.055) ** 2.4 for one in rgb]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#{:02x}{:02x}{:02x}".format(*rgb), "#000000" if luminance > 0.18 else "#ffffff"


def line(index: int) -> str:
    """Colour of the index-th line of a figure, starting over after the last."""
    return LINES[index % len(LINES)]
