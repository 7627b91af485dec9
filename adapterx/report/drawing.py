"""One small plot as an SVG element that can stand inside a page, its bytes the same for the same content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from adapterx.report.colours import INK
from adapterx.report.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WIDTH, HEIGHT = 3.7, 2.55
"""Inches; the page shows an inch as 100 pixels or less."""
POINTS = 72
"""Of an inch, which are the units of an SVG of matplotlib's."""
STYLE: Any = {  # matplotlib types its keys as one union of literals, which no dict of ours can be
    "svg.hashsalt": "adapterx",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.unicode_minus": True,
}


MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D"}
"""Shapes of points by their names in legends, as matplotlib calls them."""


@dataclass(frozen=True)
class Key:
    """One entry of a figure's legend."""

    label: str
    colour: str
    marker: str = ""
    """circle, square, triangle, diamond or none."""
    dash: str = ""
    """SVG dash lengths; solid when empty."""


@dataclass(frozen=True)
class Figure:
    """Panels that belong together."""

    name: str
    caption: str
    panels: tuple[str, ...]
    """SVG elements."""
    keys: tuple[Key, ...]
    data: Table | None = None
    """The numbers that are drawn."""


@dataclass(frozen=True)
class Mark:
    """A place of a plot that tells its numbers when it is pointed at."""

    x: float
    y: float
    text: str
    cell: str = ""
    """The label of the cell that it is of, if it is of one."""


@dataclass
class Plot:
    """A plot being drawn; `svg` is set when its `with` block ends."""

    axes: Axes
    svg: str = ""
    marks: list[Mark] = field(default_factory=list)

    def mark(self, x: float, y: float, text: str, cell: str = "") -> None:
        """Have a place, in the coordinates of the axes, tell something."""
        self.marks.append(Mark(x, y, text, cell))


@dataclass(frozen=True)
class DrawnPanel:
    """A panel as it was drawn, for those who write it in other formats."""

    svg: str
    """As on the page, by which figures know it."""
    canvas: Canvas


_DRAWN: ContextVar[list[DrawnPanel] | None] = ContextVar("drawn", default=None)


@contextmanager
def recorded() -> Iterator[list[DrawnPanel]]:
    """Keep every panel that is drawn in this block."""
    found: list[DrawnPanel] = []
    token = _DRAWN.set(found)
    try:
        yield found
    finally:
        _DRAWN.reset(token)


@contextmanager
def plot(name: str, title: str, description: str) -> Iterator[Plot]:
    """Draw one panel. `name` keeps its ids apart from those of other panels on the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(STYLE):
        figure = Canvas(figsize=(WIDTH, HEIGHT), layout="constrained")
        panel = Plot(figure.add_subplot())
        panel.axes.set_title(title, color=INK)
        yield panel
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        marks = "".join(_marked(one, panel.axes) for one in panel.marks)
    svg = _inline(text.getvalue(), name, description)
    panel.svg = svg.removesuffix("</svg>").rstrip() + marks + "</svg>" if marks else svg
    if (kept := _DRAWN.get()) is not None:
        kept.append(DrawnPanel(panel.svg, figure))


def _marked(one: Mark, axes: Axes) -> str:
    """A circle that is not seen, at a place of a plot that has been laid out."""
    figure = axes.figure
    across, up = axes.transData.transform((one.x, one.y)) * (POINTS / figure.dpi)
    if not (isfinite(across) and isfinite(up)):
        return ""
    text = escape(one.text, {'"': "&quot;"})
    cell = f' data-cell="{escape(one.cell)}"' if one.cell else ""
    place = f'cx="{across:.1f}" cy="{POINTS * HEIGHT - up:.1f}" r="5.5" fill="none" pointer-events="all"'
    role = "button" if one.cell else "img"
    return (
        f'<circle class="mark" {place} tabindex="0" role="{role}" aria-label="{text}" data-tip="{text}"{cell}></circle>'
    )


def _inline(document: str, name: str, description: str) -> str:
    """The svg element alone: ids of its own, the page's font and ink, no prolog, no style sheet, no fixed size."""
    view = re.search(r'viewBox="[^"]*"', document)
    body = document[document.index("<svg") :].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    body = body.replace("; font-family: 'DejaVu Sans'", "").replace("'DejaVu Sans'", "inherit")
    # What matplotlib draws without a colour of its own is black, which a dark page would hide.
    body = body.replace(INK, "currentColor").replace("#000000", "currentColor")
    label = escape(description, {'"': "&quot;"})
    return f'<svg role="group" aria-label="{label}" {view and view[0]}>' + " ".join(body.split())
