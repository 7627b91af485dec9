"""Examples from files: tab- or comma-separated, JSON lines, one word or text a line, SQuAD's JSON, as the YAML says."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from adapterx import places
from adapterx.recipe.problems import did_you_mean
from adapterx.tasks.examples import ChoiceExample, Example, PairExample, TaggingExample, TextExample
from adapterx.tasks.sources import squad
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.spec import Column, Files, Fold, Hub, Local, Misplaced, TaskSpec

ENVIRONMENT = places.DATA

Row = Mapping[Any, Any]
"""A row by column: positions to text (tsv), keys to values (jsonl), positions to the words' columns (conll).

Of SQuAD's JSON a row is a paragraph, with all its questions.
"""


def root() -> Path:
    """The data directory: $ADAPTERX_DATA, or `../shared/data` seen from the working directory."""
    return places.data()


def stream(spec: TaskSpec, source: Local, language: str, split: str) -> Iterator[Example]:
    """The examples of a split, in the order of the files; none where the task has no such split.

    Rows are read when their turn comes, of SQuAD's JSON a file at a time. Raises DataError naming file and row.
    """
    files = source.files(language, split)
    if files is None:
        return
    seen: set[str] = set()
    for number, (place, row, given) in enumerate(_labelled(source, files, language)):
        if not kept(files.fold, number, place, row):
            continue
        name = f"{split}-{number}"
        if source.reader == "squad":
            found: Iterable[Example | None] = squad.examples(place, row, name, "id" in source.columns, source.misplaced)
        else:
            found = (example(spec, source, name, place, row, given),)
        for one in found:
            if one is None:
                continue
            if split == "test":
                if one.id in seen:
                    # A report pairs scores by item, so an id must mean one item.
                    raise DataError(f"{_paths(files, language)[0]}: the id '{one.id}' stands at more than one item")
                seen.add(one.id)
            yield one


def _labelled(source: Local, files: Files, language: str) -> Iterator[tuple[str, Row, str | None]]:
    """Every row with its place and, where labels stand in a file of their own, its label."""
    if files.labels is None:
        yield from ((place, row, None) for place, row in _rows(source, files, language))
        return
    path = root() / files.labels
    labels = (line for line in _lines(path) if line)
    rows = 0
    for place, row in _rows(source, files, language):
        given = next(labels, None)
        if given is None:
            raise DataError(f"{path}: has {rows} labels, fewer than {place}")
        rows += 1
        yield place, row, given
    if left := sum(1 for _ in labels):
        raise DataError(f"{path}: has {rows + left} labels for {rows} rows")


def size(source: Local, language: str, split: str) -> int:
    """How many examples a split has, without making them; 0 where the task has no such split."""
    files = source.files(language, split)
    if files is None:
        return 0
    paths = _paths(files, language)
    if source.reader == "squad":
        questions = [count for path in paths for count in _questions(path, source.misplaced, *stamp(path))]
        return sum(count for number, count in enumerate(questions) if kept(files.fold, number))
    if files.fold is not None and files.fold.by is not None:
        return sum(kept(files.fold, number, *row) for number, row in enumerate(_rows(source, files, language)))
    rows = sum(_count(path, source.reader, *stamp(path)) for path in paths) - source.header * len(files.paths)
    if files.fold is None:
        return rows
    return sum(kept(files.fold, number) for number in range(rows))


def digest_of(path: Path) -> str:
    """SHA-256 of a file, remembered while its size and time stay."""
    return _digest(path, *stamp(path))


def digest(source: Local, language: str, split: str) -> list[str]:
    """SHA-256 of each file behind a split, in order."""
    files = source.files(language, split)
    if files is None:
        return []
    extra = [root() / name for name in (files.labels, files.aligned and files.aligned.path) if name]
    return [digest_of(path) for path in [*_paths(files, language), *extra]]


def _paths(files: Files, language: str) -> list[Path]:
    return [root() / pattern.replace("{language}", language) for pattern in files.paths]


def stamp(path: Path) -> tuple[int, int]:
    """Size and modification time: what must be unchanged for a remembered answer to hold."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        hint = "" if root().is_dir() else f"; there is no directory {root()}"
        raise MissingData(f"{path}: no such file (the data directory is set by {ENVIRONMENT}{hint})") from None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=4096)
def _count(path: Path, reader: str, _bytes: int, _modified: int) -> int:
    if reader == "conll":
        return sum(1 for _ in _sentences(path))
    if reader == "csv":
        return sum(1 for _ in _read_csv(path))
    if reader == "text":
        return sum(1 for _ in _read_text(path))
    return sum(1 for line in _lines(path) if line)


@lru_cache(maxsize=4096)
def _questions(path: Path, misplaced: Misplaced, _bytes: int, _modified: int) -> tuple[int, ...]:
    """How many each paragraph has that are not left out."""
    if misplaced == "drop":
        return tuple(sum(1 for _ in squad.examples(*one, "", False, "drop")) for one in _read_squad(path))
    return tuple(len(paragraph[squad.QUESTIONS]) for _, paragraph in _read_squad(path))


@lru_cache(maxsize=4096)
def _digest(path: Path, _bytes: int, _modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lines(path: Path) -> Iterator[str]:
    """Lines without their ends. Only line feeds end a line: texts may hold other separators of Unicode."""
    stamp(path)
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            for line in stream:
                yield line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        _text(path)  # which tells the byte from the start of the file
        raise


def _text(path: Path) -> str:
    stamp(path)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def _sentences(path: Path) -> Iterator[tuple[int, list[list[str]]]]:
    """Blocks of lines between blank ones, as columns, with the number of their first line. Comments are dropped."""
    block: list[list[str]] = []
    start = 1
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            if not block:
                start = number
            block.append(line.split("\t"))
        elif block:
            yield start, block
            block = []
    if block:
        yield start, block


def _rows(source: Local, files: Files, language: str) -> Iterator[tuple[str, Row]]:
    """Every row with its place for messages."""
    read = _read_titled if source.header else _READERS[source.reader]
    rows = (row for path in _paths(files, language) for row in read(path))
    if files.aligned is None:
        yield from rows
        return
    aligned = root() / files.aligned.path
    for row, other in zip_longest(rows, _read_json(aligned)):
        if row is None or other is None:
            raise DataError(f"{aligned}: has not as many rows as {', '.join(map(str, _paths(files, language)))}")
        yield row[0], {**row[1], **{column: other[1].get(column) for column in files.aligned.columns}}


def _read_conll(path: Path) -> Iterator[tuple[str, Row]]:
    for start, block in _sentences(path):
        if len({len(line) for line in block}) > 1:
            raise DataError(f"{path}:{start}: the lines of this sentence have different numbers of columns")
        yield f"{path}:{start}", dict(enumerate(zip(*block, strict=True)))


def _read_tsv(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(_lines(path), start=1):
        if line:
            yield f"{path}:{number}", dict(enumerate(line.split("\t")))


def _read_titled(path: Path) -> Iterator[tuple[str, Row]]:
    """Tab-separated lines under the names of their columns; quotation marks are text."""
    titles: list[str] = []
    for place, row in _read_tsv(path):
        if not titles:
            titles = list(row.values())
            continue
        if len(row) != len(titles):
            raise DataError(f"{place}: has {len(row)} columns, and the first line {len(titles)}")
        yield place, dict(zip(titles, row.values(), strict=True))


def _read_csv(path: Path) -> Iterator[tuple[str, Row]]:
    """Comma-separated rows under the names of their columns; a quoted text may hold line feeds (RFC 4180)."""
    reader = csv.DictReader(f"{line}\n" for line in _lines(path))
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{path}:{reader.line_num}: has not as many columns as the first line")
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV ({error})") from None


def _read_json(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(_lines(path), start=1):
        if line:
            yield f"{path}:{number}", _json(line, f"{path}:{number}")


def _read_text(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield f"{path}:{number}", {"text": line}


def _read_squad(path: Path) -> Iterator[tuple[str, Row]]:
    return squad.paragraphs(path, _text(path))


_READERS: Mapping[str, Callable[[Path], Iterator[tuple[str, Row]]]] = {
    "conll": _read_conll,
    "tsv": _read_tsv,
    "csv": _read_csv,
    "jsonl": _read_json,
    "squad": _read_squad,
    "text": _read_text,
}


def _json(line: str, place: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: is not JSON ({error})") from None
    if not isinstance(row, dict):
        raise DataError(f"{place}: is not a JSON object")
    return row


def labels(name: str) -> tuple[str, ...]:
    """The labels of a file under the data directory, one a line; blank lines do not count.

    Raises MissingData, or DataError for a label that stands twice or alone.
    """
    path = root() / name
    stamp(path)
    found = tuple(line.strip() for line in _lines(path) if line.strip())
    if twice := [label for label, count in Counter(found).items() if count > 1]:
        raise DataError(f"{path}: the label {twice[0]!r} stands there more than once")
    if len(found) < 2:
        raise DataError(f"{path}: should have one label a line, two or more; it has {len(found)}")
    return found


def kept(fold: Fold | None, number: int, place: str = "", row: Row | None = None) -> bool:
    """Whether a row of this number, counted from 0, is kept; `place` and the row itself where a column decides."""
    if fold is None:
        return True
    if fold.by is None or row is None:
        return number % fold.of in fold.keep
    given = re.search(r"\d+$", str(row.get(fold.by)))
    if given is None:
        raise DataError(f"{place}: the fold goes by the column {fold.by!r}, which should end in a number here")
    return int(given[0]) % fold.of in fold.keep


def example(
    spec: TaskSpec, source: Local | Hub, name: str, place: str, row: Row, given: str | None = None
) -> Example | None:
    """What a row says, None where it is left out.

    Args:
        name: identifies the item where no column does.
        place: where the row stands, for messages.
        given: the label, where it stands apart from the row.
    """
    columns, reading = source.columns, _Reading(spec, source, place, row)
    identity = reading.text(columns["id"]) if "id" in columns else name
    if spec.format == "tagging":
        words, tags = reading.several(columns["words"]), reading.several(columns["tags"])
        if len(words) != len(tags) or not words:
            raise DataError(f"{place}: has {len(words)} words and {len(tags)} tags")
        return TaggingExample(identity, tuple(map(str, words)), tuple(reading.label(tag) for tag in tags))
    if spec.format == "masked-lm":
        return TextExample(identity, reading.text(columns["text"]))
    if spec.format == "retrieval":
        return PairExample(identity, reading.text(columns["query"]), reading.text(columns["candidate"]), 0)
    if spec.format == "extractive-qa":
        question, context = reading.text(columns["question"]), reading.text(columns["context"])
        return squad.example(place, identity, question, context, reading.cell(columns["answers"]), source.misplaced)
    label = reading.label(given if given is not None else reading.cell(columns["label"]))
    if spec.format == "multiple-choice":
        choices = columns["choices"]
        texts = tuple(reading.text(c) for c in choices) if isinstance(choices, tuple) else reading.cell(choices)
        return ChoiceExample(identity, reading.text(columns["context"]), tuple(texts), label)
    pair = reading.text(columns["text_pair"]) if "text_pair" in columns else None
    return PairExample(identity, reading.text(columns["text"]), pair, label)


class _Reading:
    """One row, read by column."""

    def __init__(self, spec: TaskSpec, source: Local | Hub, place: str, row: Row) -> None:
        self._spec, self._source, self._place, self._row = spec, source, place, row

    def cell(self, column: Column | tuple[Column, ...]) -> Any:
        if column not in self._row:
            hint = did_you_mean(column, map(str, self._row))
            raise DataError(f"{self._place}: has no column {column!r}" + (f" ({hint})" if hint else ""))
        return self._row[column]

    def several(self, column: Column | tuple[Column, ...]) -> list[Any]:
        """A list as it is, what stands between the spaces of a text."""
        value = self.cell(column)
        if not isinstance(value, str | list | tuple):
            raise DataError(f"{self._place}: the column {column!r} holds no list but {json.dumps(value)}")
        return value.split() if isinstance(value, str) else list(value)

    def text(self, column: Column | tuple[Column, ...]) -> str:
        if isinstance(column, str) and "{" in column:
            return re.sub(r"\{(\w+)\}", lambda found: self._meant(found[1]), column)
        return self._meant(column)

    def label(self, value: object) -> int:
        labels, meant = self._spec.labels, self._source.values.get("label", {})
        number = value if isinstance(value, int) and not isinstance(value, bool) else -1
        if 0 <= number < len(labels) and str(number) not in meant:
            return number
        written = str(value).strip()  # a label may carry a space or the end of its line
        name = meant.get(written, written)
        if name not in labels:
            raise DataError(f"{self._place}: unknown label {name!r}; {self._known(name)}")
        return labels.index(name)

    def _known(self, name: str) -> str:
        """Where a label should stand: all of them where there are few."""
        labels, file = self._spec.labels, self._spec.label_file
        where = f"the task has {', '.join(labels)}"
        if file is not None:
            hint = did_you_mean(name, labels)
            where = f"it is none of the {len(labels):,} in {root() / file}" + (f" ({hint})" if hint else "")
        return where

    def _meant(self, column: Column | tuple[Column, ...]) -> str:
        value = self.cell(column)
        if not isinstance(value, str | int | float):
            raise DataError(f"{self._place}: the column {column!r} holds no text but {json.dumps(value)}")
        return self._source.values.get(str(column), {}).get(str(value), str(value))
