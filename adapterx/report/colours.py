"""Colours that colour-blind readers can tell apart."""

from __future__ import annotations

LOSS, ZERO, GAIN = (179, 88, 6), (250, 249, 246), (33, 102, 172)
"""Ends and middle of ColorBrewer's orange to blue, which stay apart in every common colour blindness."""
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's palette, strongest first."""
INK, PAPER = "#1b1b1b", "#ffffff"


def diverging(value: float, limit: float) -> tuple[str, str]:
    """Background and text for a value between -limit and limit, pale at zero."""
    share = max(-1.0, min(1.0, value / limit)) if limit > 0 else 0.0
    end = GAIN if share > 0 else LOSS
    rgb = [round(middle + abs(share) * (far - middle)) for middle, far in zip(ZERO, end, strict=True)]
    brightness = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255
    return "#{:02x}{:02x}{:02x}".format(*rgb), INK if brightness > 0.55 else PAPER


def line(index: int) -> str:
    """Colour of the index-th line of a figure, starting over after the last."""
    return LINES[index % len(LINES)]
