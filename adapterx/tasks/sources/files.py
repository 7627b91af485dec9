"""Files under the data directory as lines and as rows: tab- or comma-separated, JSON lines, one text a line."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapterx import places
from adapterx.reading import UnreadableFile, decoded, parse_json, regular
from adapterx.tasks.sources.errors import DataError, EmptyFile, MissingData
from adapterx.wording import shown

ENVIRONMENT = places.DATA

Row = Mapping[Any, Any]
"""A row by column: positions to text (tsv), keys to values (jsonl), positions to the words' columns (conll).

Of SQuAD's JSON a row is a paragraph, with all its questions.
"""


class Decimal(float):
    """A number of a JSON text that has a point or an exponent; `str` gives it as it was written, `1.10` as `1.10`."""

    def __new__(cls, written: str) -> Decimal:
        """The number that a text stands for."""
        made = super().__new__(cls, written)
        made._written = written
        return made

    _written: str

    def __str__(self) -> str:
        return self._written


def root() -> Path:
    """The data directory: $ADAPTERX_DATA, or `../shared/data` seen from the working directory."""
    return places.data()


def stamp(path: Path) -> tuple[int, int]:
    """Size and modification time: what must be unchanged for a remembered answer to hold.

    Raises MissingData, or DataError for what is no regular file.
    """
    with readable(path):
        return regular(path), path.stat().st_mtime_ns


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what opening and reading a file raises into errors that name it."""
    try:
        yield
    except FileNotFoundError:
        hint = "" if root().is_dir() else f"; there is no directory {root()}"
        raise MissingData(f"{path}: no such file (the data directory is set by {ENVIRONMENT}{hint})") from None
    except UnreadableFile as error:
        raise DataError(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file, remembered while its size and time stay."""
    return _digest(path, *stamp(path))


@lru_cache(maxsize=4096)
def _digest(path: Path, _bytes: int, _modified: int) -> str:
    with readable(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_LINES = 1 << 16
"""Characters of lines that are read at once."""


def lines(path: Path) -> Iterator[str]:
    """Lines without their ends. Only line feeds end a line: texts may hold other separators of Unicode."""
    stamp(path)
    try:
        with readable(path), path.open(encoding="utf-8-sig", newline="\n") as stream:
            while some := stream.readlines(_LINES):
                yield from [line.removesuffix("\n").removesuffix("\r") for line in some]
    except UnicodeDecodeError:
        text(path)  # which tells the byte from the start of the file
        raise


def text(path: Path) -> str:
    """All of a file. Raises DataError for what is not UTF-8."""
    stamp(path)
    with readable(path):
        return decoded(path.read_bytes())


def parsed(content: str, place: str) -> Any:
    """The value of a JSON text. NaN and infinities pass, as values that are missing. Raises DataError."""
    try:
        return parse_json(content, finite=False, decimal=Decimal)
    except UnreadableFile as error:
        raise DataError(f"{place}: {error}") from None


def tsv(path: Path) -> Iterator[tuple[str, Row]]:
    """Tab-separated lines by position; all have as many columns as the first. Quotation marks are text."""
    for place, cells in evenly(path, ((number, line) for number, line in enumerate(lines(path), start=1) if line)):
        yield place, dict(enumerate(cells))


def evenly(path: Path, numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
    """The cells of tab-separated lines with their places. Raises DataError for a line of another width than the first.

    A tab within a text would otherwise cut the text off in silence.
    """
    width = 0
    for number, line in numbered:
        cells = line.split("\t")
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(f"{path}:{number}: has {len(cells)} columns, and the first line {width}: {shown(line)}")
        yield f"{path}:{number}", cells


def titled(path: Path) -> Iterator[tuple[str, Row]]:
    """Tab-separated lines under the names of their columns."""
    names: list[str] = []
    for place, row in tsv(path):
        if not names:
            names = list(row.values())
            _check_names(names, place)
            continue
        yield place, dict(zip(names, row.values(), strict=True))
    if not names:
        raise EmptyFile(f"{path}:1: the file is empty, and its first line should name the columns (`header: true`)")


def comma_separated(path: Path) -> Iterator[tuple[str, Row]]:
    """Comma-separated rows under the names of their columns; a quoted text may hold line feeds (RFC 4180)."""
    reader = csv.DictReader((f"{line}\n" for line in lines(path)), strict=True)
    try:
        _check_names(list(reader.fieldnames or ()), f"{path}:1")
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{path}:{reader.line_num}: has not as many columns as the first line")
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV ({error})") from None
    if not reader.fieldnames:
        raise EmptyFile(f"{path}:1: the file is empty, and its first line should name the columns")


def _check_names(names: list[str], place: str) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{place}: names the column {shown(twice[0])} more than once")


def json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    """One JSON object a line."""
    for number, line in enumerate(lines(path), start=1):
        if line.strip():
            yield f"{path}:{number}", json_object(line, f"{path}:{number}")


def json_object(line: str, place: str) -> Row:
    """The object that a line holds. Raises DataError."""
    row = parsed(line, place)
    if not isinstance(row, dict):
        raise DataError(f"{place}: is not a JSON object")
    return row


def plain(path: Path) -> Iterator[tuple[str, Row]]:
    """One text a line, as the column `text`; blank lines do not count."""
    for number, line in enumerate(lines(path), start=1):
        if line.strip():
            yield f"{path}:{number}", {"text": line}
