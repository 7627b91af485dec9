"""Files of one word a line, blank lines between sentences: CoNLL's shared tasks, CoNLL-U, and plain word and tag.

What is no word is left out: comments, the lines `-DOCSTART-` between documents, and of CoNLL-U the ranges of multiword
tokens (`3-4`) and empty nodes (`2.1`). A word may itself be `#` or begin with it, so that a line's columns tell which
it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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


def sentences(path: Path, universal: bool = False) -> Iterator[tuple[str, Row]]:
    """Every sentence by column, words from the first to the last, with the place of its first word's line.

    Args:
        universal: whether the file is CoNLL-U though it has another number of columns than ten, as CoNLL-U Plus.

    Raises DataError naming the line that has another number of columns than the first of its sentence.
    """
    width = _width(path)
    for first, block in _blocks(path):
        places, rows = _words(block, width, universal)
        if not rows:
            continue
        even = len(rows[0])
        if len(set(map(len, rows))) > 1:
            at = next(at for at, cells in enumerate(rows) if len(cells) != even)
            raise DataError(
                f"{path}:{first + places[at]}: has {len(rows[at])} columns, and the first line of its sentence {even}:"
                f" {shown(block[places[at]])}"
            )
        columns: dict[str | int, tuple[object, ...]] = dict(enumerate(zip(*rows, strict=True)))
        columns[LINES] = tuple([first + at for at in places])
        yield f"{path}:{first + places[0]}", columns


universal_sentences = partial(sentences, universal=True)
"""The same of files that are CoNLL-U, or CoNLL-U Plus, by their YAML's word."""


def count(path: Path, universal: bool = False) -> int:
    """How many sentences `sentences` gives, without their columns, which are not checked either."""
    width = _width(path)
    return sum(
        # Where the last line is a word, which it is nearly always, the others need no look.
        not (block[-1].startswith("#") or _NO_WORD.match(block[-1])) or bool(_words(block, width, universal)[1])
        for _, block in _blocks(path)
    )


def _words(block: list[str], width: int, universal: bool) -> tuple[Sequence[int], list[list[str]]]:
    """The words of a sentence, without comments, ranges and empty nodes: the places of their lines, their columns."""
    places: Sequence[int] = range(len(block))
    if "#" in [text[0] for text in block]:
        places = [at for at in places if not _is_comment(block[at], _opens(block[:at]), width)]
        block = [block[at] for at in places]
    rows = [text.split("\t") for text in block]
    if 1 in set(map(len, rows)):
        rows = [_cells(text) for text in block]
    if universal or _is_universal(rows):
        words = [(at, cells) for at, cells in zip(places, rows, strict=True) if not _NO_WORD.fullmatch(cells[0])]
        return [at for at, _ in words], [cells for _, cells in words]
    return places, rows


def _cells(text: str) -> list[str]:
    """Columns between tabs; between runs of spaces where the line has no tab. Other white space is text."""
    return text.split("\t") if "\t" in text else _SPACES.split(text.strip(" "))


def _blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines between blank ones and lines between documents, and the number of the first. A line of spaces is blank."""
    block: list[str] = []
    number = 0
    for number, text in enumerate(lines(path), start=1):
        if text[:1].isalnum():  # as nearly every line: no look at the rest is needed
            block.append(text)
        elif _is_no_line(text):
            if block:
                yield number - len(block), block
            block = []
        else:
            block.append(text)
    if block:
        yield number + 1 - len(block), block


def _is_no_line(text: str) -> bool:
    """Whether a line only parts sentences: it is blank, or stands between documents.

    White space of whatever kind is nothing where it stands alone; beside a tab it may be a word.
    """
    if text.startswith("-"):
        return _BETWEEN_DOCUMENTS.match(text) is not None
    return not text.strip() and ("\t" not in text or not text.strip(" \t"))


def _width(path: Path) -> int:
    """Columns of the first line that is a word without doubt; 0 where every line begins with '#'."""
    for text in lines(path):
        if not (text.startswith("#") or _is_no_line(text)):
            return len(_cells(text))
    return 0


def _opens(before: list[str]) -> bool:
    """Whether nothing but lines that begin with '#' stands before, so that no word has been seen yet."""
    return all(text.startswith("#") for text in before)


def _is_comment(text: str, first: bool, width: int) -> bool:
    """Whether a line says something about the sentence rather than being a word of it.

    Args:
        first: whether it stands at the sentence's beginning.
        width: columns of the file's words.
    """
    if not text.startswith("#"):
        return False
    if first and _KEY_AND_VALUE.match(text):
        return True
    cells = len(_cells(text))
    if not width:
        return "\t" not in text and (cells == 1 or text.startswith("# "))
    # A word that has a column too many is a mistake, not a comment.
    return cells < width or (cells > width and text.startswith("# ") and (first or "\t" not in text))


def _is_universal(rows: list[list[str]]) -> bool:
    return all(len(cells) == _UNIVERSAL_COLUMNS and _WORD_NUMBER.fullmatch(cells[0]) for cells in rows)
