"""Tables for a terminal of any width, which never cut what tells rows apart. Depends on no other package.

Where a table is too wide, texts are folded at the marks that join their parts; where that does not suffice, each row
becomes a paragraph: its names on the first line, its numbers with their titles below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

GAP = 2
"""Spaces between two columns."""
NARROWEST = 12
"""Characters that a folded column keeps at least, where it has so many."""
_PART = re.compile(r"[^.\-_/,\s]*[.\-_/,\s]*")


@dataclass(frozen=True)
class Column:
    """A column's head, and how its texts may be laid out."""

    title: str
    right: bool = False
    """Whether texts end at the right, as numbers do."""
    folds: bool = False
    """Whether texts may be folded; the others stay on one line."""
    names: bool = False
    """Whether its texts name the row, so that a paragraph begins with them."""


@dataclass(frozen=True)
class TextGrid:
    """A table to be printed by rich."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]
    """Texts of a line each; a row of a single text is a heading of the rows below it."""
    rule: bool = False
    """Whether a line is drawn below the titles."""
    narrowest: int = NARROWEST

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Laid out for the width that is there."""
        widths = self.widths(options.max_width)
        yield from self._paragraphs(options.max_width) if widths is None else self._table(widths)

    def widths(self, available: int) -> list[int] | None:
        """Each column's characters, or None where no table fits."""
        full = [row for row in self.rows if len(row) == len(self.columns)]
        widths = [
            max([_cells(column.title), *(row[at].cell_len for row in full)]) for at, column in enumerate(self.columns)
        ]
        least = [self._least(at, width, full) for at, width in enumerate(widths)]
        too_many = sum(widths) + GAP * (len(widths) - 1) - available
        while too_many > 0:
            spare = [width - low for width, low in zip(widths, least, strict=True)]
            widest = max(range(len(widths)), key=lambda at: (spare[at] > 0, widths[at]))
            if spare[widest] <= 0:
                return None
            widths[widest] -= 1
            too_many -= 1
        return widths

    def _least(self, at: int, width: int, rows: Sequence[Sequence[Text]]) -> int:
        """The least width of a column: that of its longest part, where it folds."""
        if not self.columns[at].folds:
            return width
        parts = [part for row in rows for part in _PART.findall(row[at].plain)]
        longest = max((_cells(part.rstrip()) for part in parts), default=0)
        return min(width, max(self.narrowest, longest, len(self.columns[at].title)))

    def _table(self, widths: Sequence[int]) -> Iterator[Text]:
        from rich.text import Text

        yield self._line([Text(column.title, style="dim") for column in self.columns], widths)
        if self.rule:
            yield Text("─" * (sum(widths) + GAP * (len(widths) - 1)), style="dim")
        for row in self.rows:
            if len(row) < len(self.columns):
                yield row[0]
                continue
            cells = [folded(text, width) for text, width in zip(row, widths, strict=True)]
            for number in range(max(map(len, cells))):
                yield self._line([cell[number] if number < len(cell) else Text() for cell in cells], widths)

    def _line(self, texts: Sequence[Text], widths: Sequence[int]) -> Text:
        """Texts that fit their columns, side by side."""
        from rich.text import Text

        line = Text(no_wrap=True)
        for column, text, width in zip(self.columns, texts, widths, strict=True):
            space = " " * (width - text.cell_len)
            line.append(" " * GAP if line.plain else "")
            line = line.append(space).append_text(text) if column.right else line.append_text(text).append(space)
        line.rstrip()
        return line

    def _paragraphs(self, width: int) -> Iterator[Text]:
        from rich.text import Text

        for row in self.rows:
            if len(row) < len(self.columns):
                yield row[0]
                continue
            pairs = list(zip(self.columns, row, strict=True))
            yield from folded(Text(" · ").join([text for column, text in pairs if column.names]), width)
            told = [(column, text) for column, text in pairs if not column.names and text.plain.strip()]
            yield from _side_by_side(
                [Text(f"{column.title} ", style="dim").append_text(text) for column, text in told], width
            )


def _side_by_side(texts: Sequence[Text], width: int) -> Iterator[Text]:
    """Texts four spaces in, as many to a line as there is room for."""
    from rich.text import Text

    indent = " " * 4
    line = Text(indent)
    for text in texts:
        if line.plain.strip() and line.cell_len + GAP + text.cell_len > width:
            yield from folded(line, width)
            line = Text(indent)
        line.append(" " * GAP if line.plain.strip() else "").append_text(text)
    if line.plain.strip():
        yield from folded(line, width)


def folded(text: Text, width: int) -> list[Text]:
    """A text in lines of at most `width` characters, broken behind the marks that join its parts where it can be.

    All lines stand as far in as the first. Nothing is lost but spaces at the ends of lines.
    """
    if text.cell_len <= width:
        return [text]
    indent = len(text.plain) - len(text.plain.lstrip())
    indent = indent if indent < width // 2 else 0
    inner, room = text[indent:], width - indent
    plain, places = inner.plain, list[int]()
    start = end = 0
    for part in _PART.findall(plain):
        if end > start and _cells(plain[start : end + len(part)].rstrip()) > room:
            places.append(start := end)
        end += len(part)
        while _cells(plain[start:end].rstrip()) > room:  # a single part of more than a line
            places.append(start := _reach(plain, start, room))
    lines = list(inner.divide(places))
    for line in lines:
        line.rstrip()
        line.pad_left(indent)
    return lines


def _reach(plain: str, start: int, room: int) -> int:
    """How far a line leads that begins at `start`."""
    end = start + 1
    while end < len(plain) and _cells(plain[start : end + 1]) <= room:
        end += 1
    return end


def _cells(plain: str) -> int:
    """Columns of the terminal that a text takes."""
    from rich.cells import cell_len

    return cell_len(plain)
