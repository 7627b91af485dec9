"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, groupby, pairwise
from pathlib import Path

from markupsafe import Markup

import adapterx
from adapterx.report.colours import DARK_GAIN, DARK_LOSS, DARK_ZERO, GAIN, LOSS, ZERO, in_the_dark
from adapterx.report.document import Document
from adapterx.report.drawing import Figure
from adapterx.report.languages import language
from adapterx.report.sections import sections
from adapterx.report.table import Table, TableColumn, TableEntry
from adapterx.store import JSON

HERE = Path(__file__).parent
MARKERS = {
    "": "",
    "circle": '<circle cx="15" cy="5" r="3.4" fill="COLOUR"/>',
    "square": '<rect x="12" y="2" width="6" height="6" fill="COLOUR"/>',
    "triangle": '<path d="M15 1l4 7.4h-8z" fill="COLOUR"/>',
    "diamond": '<path d="M15 .6l4 4.4-4 4.4-4-4.4z" fill="COLOUR"/>',
}


@dataclass(frozen=True)
class Row:
    """A row with, per entry, its column and whether it only repeats the label above it."""

    entries: tuple[tuple[TableColumn, TableEntry, bool], ...]
    starts: bool
    """Whether the first label changes here, so that a hairline helps the eye."""
    opens: str = ""
    """The label of the cell that it is of."""


@dataclass(frozen=True)
class Body:
    """Rows between two rules."""

    rows: tuple[Row, ...]
    footer: bool


def page(document: Document) -> str:
    """Render the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    html = environment.get_template("page.html.j2").render(
        **{field: getattr(document, field) for field in document.__dataclass_fields__},
        sections=list(sections(document)),
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data=_embedded(document.details),
        version=adapterx.__version__,
        markers=MARKERS,
        ends=_ramp(LOSS, ZERO, GAIN),
        dark_ends=_ramp(DARK_LOSS, DARK_ZERO, DARK_GAIN),
        in_the_dark=in_the_dark,
        language=language,
        ink=lambda colour: "currentColor" if colour == "#000000" else colour,
        is_figure=lambda part: isinstance(part, Figure),
        spans=_spans,
        widths=_widths,
        bodies=_bodies,
        counter=lambda: count(1).__next__,
    )
    return html.rstrip() + "\n"


def _ramp(*colours: tuple[int, int, int]) -> str:
    return ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours)


_ESCAPED = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def _embedded(value: Mapping[str, JSON]) -> Markup:
    """JSON that may stand in a script element, whatever texts it holds: no tag ends or begins in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.translate(_ESCAPED)
    return Markup(text)  # noqa: S704 - nothing in it is a mark any more


def _spans(table: Table) -> list[tuple[str, int]]:
    """Group headings with their widths; none for a table without groups."""
    if not any(column.group for column in table.columns):
        return []
    columns = zip(table.columns, _widths(table), strict=True)
    grouped = groupby(columns, lambda pair: pair[0].group)
    return [(title, sum(2 if width else 1 for _, width in pairs)) for title, pairs in grouped]


def _widths(table: Table) -> list[Markup]:
    """Per column the attribute that makes it span two where entries have intervals, which get a column of their own."""
    has = [any(row[at].interval for row in table.rows) for at in range(len(table.columns))]
    return [Markup(' colspan="2"') if wide else Markup("") for wide in has]


def _bodies(table: Table) -> list[Body]:
    split = len(table.rows) - table.footer
    opens = table.opens or ("",) * len(table.rows)
    parts = [(table.rows[:split], opens[:split], False), (table.rows[split:], opens[split:], True)]
    return [Body(tuple(_rows(table, rows, opened)), footer) for rows, opened, footer in parts if rows]


def _rows(table: Table, rows: tuple[tuple[TableEntry, ...], ...], opens: tuple[str, ...]) -> Iterator[Row]:
    labels = [column.label for column in table.columns]
    leading = labels.index(False) if False in labels else 0
    parts = any(one[0] == other[0] for one, other in pairwise(rows))
    above: tuple[TableEntry, ...] = ()
    for row, cell in zip(rows, opens, strict=True):
        same = [bool(above) and row[: at + 1] == above[: at + 1] for at in range(leading)]
        repeats = [*same, *[False] * (len(row) - leading)]
        entries = tuple(zip(table.columns, row, repeats, strict=True))
        yield Row(entries, starts=parts and bool(above and same) and not same[0], opens=cell)
        above = row
