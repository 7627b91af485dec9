"""Files under the data directory as lines and as rows: tab- or comma-separated, JSON lines, one text a line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from adapterx import places
from adapterx.reading import UnreadableFile, decoded, not_utf8, parse_json, regular
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
def readable(path: Path, name: str = "") -> Iterator[None]:
    """Turn what opening and reading a file raises into errors that name it.

    Args:
        name: what it is called; its path where none is given.
    """
    try:
        yield
    except FileNotFoundError:
        hint = "" if root().is_dir() else f"; there is no directory {root()}"
        raise MissingData(f"{path}: no such file (the data directory is set by {ENVIRONMENT}{hint})") from None
    except UnreadableFile as error:
        raise DataError(f"{name or path}: {error}") from None
    except OSError as error:
        raise DataError(f"{name or path}: cannot be read ({error.strerror or error})") from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file, remembered while its size and time stay."""
    return _digest(path, *stamp(path))


@lru_cache(maxsize=4096)
def _digest(path: Path, _bytes: int, _modified: int) -> str:
    with readable(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_BLOCK = 1 << 16
"""Characters of lines that are read at once."""
_LONGEST_LINE = 1 << 26
"""Characters of a line, at most: a compressed file of some kilobytes can hold one that fills the memory."""
_LONGEST_TEXT = 1 << 28
"""Characters of a file that can only be read whole, at most."""


def lines(path: Path, name: str = "") -> Iterator[str]:
    """Lines without their ends, of a file whose name ends in `.gz` those that are compressed in it.

    Only line feeds end a line: texts may hold other separators of Unicode.

    Args:
        name: what messages call the file; its path where none is given.

    Raises DataError, MissingData.
    """
    with _opened(path, name) as stream:
        rest = ""
        # A block as long as what is left makes a long line cost as much as several short ones.
        while block := stream.read(max(_BLOCK, len(rest))):
            *whole, rest = (rest + block).split("\n")
            yield from [line.removesuffix("\r") for line in whole]
            if len(rest) > _LONGEST_LINE:
                raise DataError(f"{name or path}: has a line of more than {_LONGEST_LINE:,} characters")
        if rest:
            yield rest.removesuffix("\r")


def text(path: Path) -> str:
    """All of a file. Raises DataError for what is not UTF-8."""
    if compressed(path):
        return _bounded(path, "")
    stamp(path)
    with readable(path):
        return decoded(path.read_bytes())


def _bounded(path: Path, name: str) -> str:
    """All of a file that is not too large to be read at once."""
    with _opened(path, name) as stream:
        found = stream.read(_LONGEST_TEXT + 1)
    if len(found) > _LONGEST_TEXT:
        raise DataError(f"{name or path}: has more than {_LONGEST_TEXT:,} characters, which would be read at once")
    return found


def compressed(path: Path) -> bool:
    """Whether a file is compressed, by its name."""
    return path.suffix == ".gz"


@contextmanager
def _opened(path: Path, name: str) -> Iterator[IO[str]]:
    """A file's text, from within what is compressed; errors of reading it name the file."""
    with readable(path, name):
        regular(path)
        try:
            # `open` knows no compression; the text is made of bytes in one way for both.
            with (
                gzip.open(path) if compressed(path) else path.open("rb") as raw,
                io.TextIOWrapper(cast(IO[bytes], raw), encoding="utf-8-sig", newline="\n") as stream,
            ):
                yield stream
        except UnicodeDecodeError as error:
            if not compressed(path):
                decoded(path.read_bytes())  # which tells the byte from the start of the file
            raise DataError(f"{name or path}: {not_utf8(error)}") from None
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise DataError(f"{name or path}: is not a whole gzip file ({error})") from None


def parsed(content: str, place: str) -> Any:
    """The value of a JSON text. NaN and infinities pass, as values that are missing. Raises DataError."""
    try:
        return parse_json(content, finite=False, decimal=Decimal)
    except UnreadableFile as error:
        raise DataError(f"{place}: {error}") from None


def tsv(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """Tab-separated lines by position; all have as many columns as the first. Quotation marks are text."""
    numbered = ((number, line) for number, line in enumerate(lines(path, name), start=1) if line)
    for place, cells in evenly(name or path, numbered):
        yield place, dict(enumerate(cells))


def evenly(file: Path | str, numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
    """The cells of tab-separated lines with their places. Raises DataError for a line of another width than the first.

    A tab within a text would otherwise cut the text off in silence.
    """
    width = 0
    for number, line in numbered:
        cells = line.split("\t")
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(f"{file}:{number}: has {len(cells)} columns, and the first line {width}: {shown(line)}")
        yield f"{file}:{number}", cells


def titled(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """Tab-separated lines under the names of their columns."""
    names: list[str] = []
    for place, row in tsv(path, name):
        if not names:
            names = list(row.values())
            _check_names(names, place)
            continue
        yield place, dict(zip(names, row.values(), strict=True))
    if not names:
        empty = "the file is empty, and its first line should name the columns (`header: true`)"
        raise EmptyFile(f"{name or path}:1: {empty}")


def comma_separated(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """Comma-separated rows under the names of their columns; a quoted text may hold line feeds (RFC 4180)."""
    return _quoted(path, name or str(path), ",", "is not CSV ({})")


def tab_separated(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """The same of rows whose cells are parted by tabs, as pandas and the `datasets` library write and read them."""
    wrong = "is not a row of tab-separated cells, some in quotation marks ({}); `quotes: false` reads those as text"
    return _quoted(path, name or str(path), "\t", wrong)


def _quoted(path: Path, name: str, delimiter: str, wrong: str) -> Iterator[tuple[str, Row]]:
    """Rows under the names of their columns; a cell in quotation marks may hold delimiters and line feeds.

    Args:
        wrong: what is said of a row that is none, with the reason in place of `{}`.
    """
    reader = csv.DictReader((f"{line}\n" for line in lines(path, name)), delimiter=delimiter, strict=True)
    try:
        _check_names(list(reader.fieldnames or ()), f"{name}:1")
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{name}:{reader.line_num}: has not as many columns as the first line")
            yield f"{name}:{reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"{name}:{reader.reader.line_num}: {wrong.format(error)}") from None
    if not reader.fieldnames:
        raise EmptyFile(f"{name}:1: the file is empty, and its first line should name the columns")


def _check_names(names: list[str], place: str) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{place}: names the column {shown(twice[0])} more than once")


def json_lines(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """One JSON object a line."""
    for number, line in enumerate(lines(path, name), start=1):
        if line.strip():
            yield f"{name or path}:{number}", json_object(line, f"{name or path}:{number}")


def json_rows(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """The objects of a JSON array, which is read at once; of another file one a line."""
    begin = next((line.lstrip()[0] for line in lines(path, name) if line.strip()), "")
    if begin != "[":
        yield from json_lines(path, name)
        return
    for number, row in enumerate(parsed(_bounded(path, name), name or str(path)), start=1):
        place = f"{name or path}, item {number}"
        if not isinstance(row, dict):
            raise DataError(f"{place}: is not a JSON object but {shown(row)}")
        yield place, row


def json_object(line: str, place: str) -> Row:
    """The object that a line holds. Raises DataError."""
    row = parsed(line, place)
    if not isinstance(row, dict):
        raise DataError(f"{place}: is not a JSON object")
    return row


def plain(path: Path, name: str = "") -> Iterator[tuple[str, Row]]:
    """One text a line, as the column `text`; blank lines do not count."""
    for number, line in enumerate(lines(path, name), start=1):
        if line.strip():
            yield f"{name or path}:{number}", {"text": line}
