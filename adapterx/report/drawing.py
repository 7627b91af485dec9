"""One small plot as an SVG element that can stand inside a page, its bytes the same for the same content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from adapterx.report.colours import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 3.7, 2.55
"""Inches; the page shows an inch as 100 pixels or less."""
STYLE: Any = {  # matplotlib types its keys as one union of literals, which no dict of ours can be
    "svg.hashsalt": "adapterx",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.edgecolor": INK,
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


@dataclass
class Plot:
    """A plot being drawn; `svg` is set when its `with` block ends."""

    axes: Axes
    svg: str = ""


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
    panel.svg = _inline(text.getvalue(), name, description)


def _inline(document: str, name: str, description: str) -> str:
    """The svg element alone: ids of its own, the page's font, no prolog, no style sheet, no fixed size."""
    view = re.search(r'viewBox="[^"]*"', document)
    body = document[document.index("<svg") :].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    body = body.replace("; font-family: 'DejaVu Sans'", "").replace("'DejaVu Sans'", "inherit")
    label = escape(description, {'"': "&quot;"})
    return f'<svg role="img" aria-label="{label}" {view and view[0]}>' + " ".join(body.split())
