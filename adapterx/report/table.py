"""A table as a value, and its Markdown. What the HTML page shows and what report.md says are the same cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from adapterx.report.colours import Colours
from adapterx.wording import plain as printable

DASH = "\N{EN DASH}"
"""Stands where there is nothing to say."""
Tone = Literal["", "missing", "strong", "faint"]
Rows = tuple[tuple["TableEntry", ...], ...]


@dataclass(frozen=True)
class TableColumn:
    """A column's head."""

    title: str
    label: bool = False
    """Names the row (aligned left) instead of giving a number."""
    group: str = ""
    """Neighbours of one group share a heading."""
    note: str = ""
    """Explains the title, on hovering."""
    rule: bool = False
    """A little space before it, where a new part of the table begins."""
    size: bool = False
    """Counts something, so that equal counts in all rows can be said once."""
    language: str = ""
    """The code, where a column is of one language: such neighbours can be grouped by family or script."""


@dataclass(frozen=True)
class TableEntry:
    """One cell of a table."""

    text: str
    interval: str = ""
    note: str = ""
    tone: Tone = ""
    colours: Colours | None = None


@dataclass(frozen=True)
class Table:
    """Rows of entries under columns."""

    name: str
    """Identifier, unique in a report."""
    caption: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[TableEntry, ...], ...]
    notes: tuple[str, ...] = ()
    footer: int = 0
    """How many of the last rows stand below a rule of their own."""
    dense: bool = False
    """Whether the columns are too many for the usual letters."""
    scale: tuple[str, str] | None = None
    """What the ends of the entries' colours stand for, where they mean something."""
    opens: tuple[str, ...] = ()
    """Of each row the label of the cell that it is of, or of the first of several; empty, or one an empty text, where
    rows are of no cell."""


def fold(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[TableEntry]]
) -> tuple[tuple[TableColumn, ...], Rows, str]:
    """Take out label and size columns that say the same in every row; the phrase in brackets says it once.

    At least one label stays.
    """
    constant = [index for index in range(len(columns)) if len({row[index].text for row in rows}) == 1]
    labels = [index for index, column in enumerate(columns) if column.label]
    gone = [index for index in constant if columns[index].label or columns[index].size]
    if set(labels) <= set(gone):
        gone.remove(labels[0])
    phrases = [_phrase(columns[index], rows[0][index].text) for index in gone if rows[0][index].text != DASH]
    kept = [index for index in range(len(columns)) if index not in gone]
    entries = tuple(tuple(row[index] for index in kept) for row in rows)
    return tuple(columns[index] for index in kept), entries, f" ({', '.join(phrases)})" if phrases else ""


def _phrase(column: TableColumn, text: str) -> str:
    if column.size:
        return f"{text} {column.title.removesuffix('s') if text == '1' else column.title}"
    return f"{column.title} {text}"


def markdown(table: Table) -> str:
    """GitHub Markdown, with the caption above and the notes below."""
    titles = [f"{column.group} {column.title}".strip() for column in table.columns]
    lines = [f"**{escape(table.caption)}**", "", _row(map(escape, titles))]
    lines.append(_row(["---" if column.label else "---:" for column in table.columns]))
    lines += [_row(map(_cell, row)) for row in table.rows]
    for note in table.notes:
        lines += ["", escape(note)]
    return "\n".join(lines) + "\n"


def prose(text: str) -> str:
    """A user's text as paragraphs of Markdown that show it as it is: no HTML, no marks, no links."""
    paragraphs = (escape(printable(" ".join(paragraph.split()), None)) for paragraph in re.split(r"\n\s*\n", text))
    escaped = (one.replace("&", "&amp;").replace("[", "\\[") for one in paragraphs if one)
    return "\n\n".join(re.sub(r"^([#>+~=-]|\d+(?=[.)]))", _unmarked, one) for one in escaped)


def _unmarked(mark: re.Match[str]) -> str:
    """The beginning of a line that would be a heading, a quotation or a list, as text."""
    return f"{mark[0]}\\" if mark[0].isdigit() else f"\\{mark[0]}"


def fenced(text: str, language: str) -> str:
    """A block of code, behind more backticks than stand in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}{fence}"


def _row(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _cell(entry: TableEntry) -> str:
    text = escape(entry.text)
    return f"{f'**{text}**' if entry.tone == 'strong' and text else text} {escape(entry.interval)}".strip()


def escape(text: str) -> str:
    """A text as Markdown that shows it as it is, on one line."""
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
