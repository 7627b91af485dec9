"""A table as a value, and its Markdown. What the HTML page shows and what report.md says are the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "missing", "strong", "faint"]


@dataclass(frozen=True)
class Column:
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


@dataclass(frozen=True)
class Entry:
    """One cell of a table."""

    text: str
    interval: str = ""
    note: str = ""
    tone: Tone = ""
    colours: tuple[str, str] | None = None
    """Background and text, as #rrggbb."""


@dataclass(frozen=True)
class Table:
    """Rows of entries under columns."""

    name: str
    """Identifier, unique in a report."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()
    footer: int = 0
    """How many of the last rows stand below a rule of their own."""
    colours: bool = False
    """Whether the entries' colours mean something, so that a scale belongs below."""


def without_constant_labels(columns: Sequence[Column], rows: Sequence[Sequence[Entry]]) -> tuple[list[int], list[str]]:
    """Which columns to keep, and a phrase for each label column that says the same in every row.

    At least one label stays.
    """
    labels = [index for index, column in enumerate(columns) if column.label]
    constant = [index for index in labels if len({row[index].text for row in rows}) <= 1]
    if len(constant) == len(labels):
        constant = constant[1:]
    phrases = [f"{columns[index].title} {rows[0][index].text}" for index in constant if rows]
    return [index for index in range(len(columns)) if index not in constant], phrases


def select(
    columns: Sequence[Column], rows: Sequence[Sequence[Entry]]
) -> tuple[tuple[Column, ...], tuple[tuple[Entry, ...], ...], str]:
    """Columns and rows without labels that never vary, and those labels in words, for the caption."""
    kept, phrases = without_constant_labels(columns, rows)
    said = f" ({', '.join(phrases)})" if phrases else ""
    return tuple(columns[index] for index in kept), tuple(tuple(row[index] for index in kept) for row in rows), said


def markdown(table: Table) -> str:
    """GitHub Markdown, with the caption above and the notes below."""
    titles = [f"{column.group} {column.title}".strip() for column in table.columns]
    lines = [f"**{_escape(table.caption)}**", "", _row(titles)]
    lines.append(_row(["---" if column.label else "---:" for column in table.columns]))
    lines += [_row([f"{entry.text} {entry.interval}".strip() for entry in row]) for row in table.rows]
    for note in table.notes:
        lines += ["", _escape(note)]
    return "\n".join(lines) + "\n"


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(_escape(text) for text in texts) + " |"


def _escape(text: str) -> str:
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
