"""Files of one word a line, blank lines between sentences: CoNLL's shared tasks, CoNLL-U, and plain word and tag.

What is no word is left out: comments, the lines `-DOCSTART-` between documents, and of CoNLL-U the ranges of multiword
tokens (`3-4`) and empty nodes (`2.1`). A word may itself be `#` or begin with it, so that a line's columns tell which
it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.files import Row, lines
from adapterx.wording import shown

LINES = "line"
"""The column under which a sentence has the number of each word's line."""

_SPACES = re.compile(r"[ \t]+")
_BETWEEN_DOCUMENTS = re.compile(r"-DOCSTART-(?:[ \t]|$)")
_KEY_AND_VALUE = re.compile(r"# +(?:(?:\w[\w.:-]* +)?\w[\w.:-]* *=(?: |$)|(?:newdoc|newpar) *$)")
"""`# text = …`, `# newdoc id = …`, `# newpar`: what CoNLL-U writes above a sentence."""
_UNIVERSAL_COLUMNS = 10
_WORD_NUMBER, _NO_WORD = re.compile(r"\d+(?:[-.]\d+)?"), re.compile(r"\d+[-.]\d+")
"""The first column of CoNLL-U: a word's number, or a range of them or that of an empty node, which are no words."""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str

    @property
    def cells(self) -> list[str]:
        """Columns between tabs; between runs of spaces where the line has no tab. Other white space is text."""
        if "\t" in self.text:
            return self.text.split("\t")
        return _SPACES.split(self.text.strip(" "))


def sentences(path: Path, universal: bool = False) -> Iterator[tuple[str, Row]]:
    """Every sentence by column, words from the first to the last, with the place of its first word's line.

    Args:
        universal: whether the file is CoNLL-U though it has another number of columns than ten, as CoNLL-U Plus.

    Raises DataError naming the line that has another number of columns than the first of its sentence.
    """
    width = _width(path)
    for block in _blocks(path):
        words = [line for at, line in enumerate(block) if not _is_comment(line, at == 0 or _opens(block[:at]), width)]
        rows = [(line, line.cells) for line in words]
        if universal or _is_universal(rows):
            rows = [(line, cells) for line, cells in rows if not _NO_WORD.fullmatch(cells[0])]
        if not rows:
            continue
        _check_even(path, rows)
        columns: dict[str | int, tuple[object, ...]] = dict(enumerate(zip(*(cells for _, cells in rows), strict=True)))
        columns[LINES] = tuple(line.number for line, _ in rows)
        yield f"{path}:{rows[0][0].number}", columns


universal_sentences = partial(sentences, universal=True)
"""The same of files that are CoNLL-U, or CoNLL-U Plus, by their YAML's word."""


def _blocks(path: Path) -> Iterator[list[_Line]]:
    """Lines between blank ones and lines between documents. A line of spaces is blank."""
    block: list[_Line] = []
    for number, text in enumerate(lines(path), start=1):
        if _is_blank(text) or _BETWEEN_DOCUMENTS.match(text):
            if block:
                yield block
            block = []
        else:
            block.append(_Line(number, text))
    if block:
        yield block


def _is_blank(text: str) -> bool:
    """White space of whatever kind is nothing where it stands alone; beside a tab it may be a word."""
    return not text.strip(" \t") or ("\t" not in text and not text.strip())


def _width(path: Path) -> int:
    """Columns of the first line that is a word without doubt; 0 where every line begins with '#'."""
    for number, text in enumerate(lines(path), start=1):
        if not (_is_blank(text) or text.startswith("#") or _BETWEEN_DOCUMENTS.match(text)):
            return len(_Line(number, text).cells)
    return 0


def _opens(before: list[_Line]) -> bool:
    """Whether nothing but lines that begin with '#' stands before, so that no word has been seen yet."""
    return all(line.text.startswith("#") for line in before)


def _is_comment(line: _Line, first: bool, width: int) -> bool:
    """Whether a line says something about the sentence rather than being a word of it.

    Args:
        first: whether it stands at the sentence's beginning.
        width: columns of the file's words.
    """
    text, cells = line.text, len(line.cells)
    if not text.startswith("#"):
        return False
    if first and _KEY_AND_VALUE.match(text):
        return True
    if not width:
        return "\t" not in text and (cells == 1 or text.startswith("# "))
    # A word that has a column too many is a mistake, not a comment.
    return cells < width or (cells > width and text.startswith("# ") and (first or "\t" not in text))


def _is_universal(rows: list[tuple[_Line, list[str]]]) -> bool:
    return all(len(cells) == _UNIVERSAL_COLUMNS and _WORD_NUMBER.fullmatch(cells[0]) for _, cells in rows)


def _check_even(path: Path, rows: list[tuple[_Line, list[str]]]) -> None:
    width = len(rows[0][1])
    for line, cells in rows:
        if len(cells) != width:
            raise DataError(
                f"{path}:{line.number}: has {len(cells)} columns, and the first line of its sentence {width}:"
                f" {shown(line.text)}"
            )
