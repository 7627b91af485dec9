"""Examples from files under the data directory, read as the YAML says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx.tasks.examples import Example, Split
from adapterx.tasks.sources import conll, files, squad
from adapterx.tasks.sources.entry import Entry, LeftOut
from adapterx.tasks.sources.errors import DataError, EmptyFile
from adapterx.tasks.sources.files import Row, digest_of, lines, root, stamp
from adapterx.tasks.sources.rows import Reading, kept
from adapterx.wording import shown

if TYPE_CHECKING:
    from adapterx.tasks.sources.local.spec import Files, LocalSource
    from adapterx.tasks.spec import TaskSpec

Read = Callable[[Path], Iterator[tuple[str, Row]]]


def stream(spec: TaskSpec, source: LocalSource, language: str, split: Split) -> Iterator[Entry]:
    """The examples of a split, in the order of the files, or why a row is left out; none where there is no such split.

    Rows are read when their turn comes, of SQuAD's JSON a file at a time. Raises DataError naming file and row.
    """
    chosen = source.files(language, split)
    if chosen is None:
        return
    reading = Reading(spec, source)
    seen: set[str] = set()
    for number, (place, row, given) in enumerate(_labelled(source, chosen, language)):
        if not kept(chosen.fold, number, place, row):
            continue
        name = f"{split}-{number}"
        for one in spec.kind.read_all(reading, name, place, row, given):
            if split == "test" and not isinstance(one, LeftOut):
                _check_once(one, seen, place)
            yield one


def _check_once(one: Example, seen: set[str], place: str) -> None:
    """A report pairs scores by item, so an id must mean one item."""
    if one.id in seen:
        raise DataError(f"{place}: the id {shown(one.id)} stands at more than one item")
    seen.add(one.id)


def _labelled(source: LocalSource, chosen: Files, language: str) -> Iterator[tuple[str, Row, tuple[str, str] | None]]:
    """Every row with its place and, where labels stand in a file of their own, its label's place and the label."""
    if chosen.labels is None:
        yield from ((place, row, None) for place, row in _rows(source, chosen, language))
        return
    path = root() / chosen.labels
    given = _given(path)
    rows = 0
    for place, row in _rows(source, chosen, language):
        label = next(given, None)
        if label is None:
            raise DataError(f"{path}: has {rows} labels, fewer than {place}")
        rows += 1
        yield place, row, label
    if left := sum(1 for _ in given):
        raise DataError(f"{path}: has {rows + left} labels for {rows} rows")


def _given(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line of a file of labels.

    A blank line is a row without a label, unless none but blank lines follow.
    """
    blank: list[tuple[str, str]] = []
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            blank.append((f"{path}:{number}", ""))
            continue
        yield from blank
        blank = []
        yield f"{path}:{number}", line


def size(source: LocalSource, language: str, split: Split) -> int:
    """How many examples a split has, without making them; 0 where the task has no such split.

    Rows that `missing: drop` leaves out count here; `data.counted` counts without them.
    """
    chosen = source.files(language, split)
    if chosen is None:
        return 0
    found = paths(chosen, language)
    if source.reader == "squad":
        questions = [count for path in found for count in _questions(path, *stamp(path))]
        return sum(count for number, count in enumerate(questions) if kept(chosen.fold, number))
    if chosen.fold is not None and chosen.fold.by is not None:
        return sum(kept(chosen.fold, number, *row) for number, row in enumerate(_rows(source, chosen, language)))
    rows = sum(_count(path, source.reader, source.header, *stamp(path)) for path in found)
    if chosen.fold is None:
        return rows
    return sum(kept(chosen.fold, number) for number in range(rows))


def digest(source: LocalSource, language: str, split: Split) -> list[str]:
    """SHA-256 of each file behind a split, in order."""
    chosen = source.files(language, split)
    if chosen is None:
        return []
    extra = [root() / name for name in (chosen.labels, chosen.aligned and chosen.aligned.path) if name]
    return [digest_of(path) for path in [*paths(chosen, language), *extra]]


def paths(chosen: Files, language: str) -> list[Path]:
    """The files of a split in a language, in order."""
    return [root() / pattern.replace("{language}", language) for pattern in chosen.paths]


@lru_cache(maxsize=4096)
def _count(path: Path, reader: str, header: bool, _bytes: int, _modified: int) -> int:
    """Rows of a file, 0 of one that lacks even the names of its columns."""
    if reader in ("jsonl", "tsv") and not header:
        return sum(1 for line in lines(path) if line.strip() or (line and reader == "tsv"))
    if reader in ("conll", "conllu"):
        return conll.count(path, universal=reader == "conllu")
    try:
        return sum(1 for _ in _reader(reader, header)(path))
    except EmptyFile:
        return 0


@lru_cache(maxsize=4096)
def _questions(path: Path, _bytes: int, _modified: int) -> tuple[int, ...]:
    """How many each paragraph has."""
    return tuple(len(paragraph[squad.QUESTIONS]) for _, paragraph in _read_squad(path))


def _rows(source: LocalSource, chosen: Files, language: str) -> Iterator[tuple[str, Row]]:
    """Every row with its place for messages."""
    read = _reader(source.reader, source.header)
    rows = (row for path in paths(chosen, language) for row in read(path))
    if chosen.aligned is None:
        yield from rows
        return
    aligned = root() / chosen.aligned.path
    for row, other in zip_longest(rows, files.json_lines(aligned)):
        if row is None or other is None:
            raise DataError(f"{aligned}: has not as many rows as {', '.join(map(str, paths(chosen, language)))}")
        if lacking := [column for column in chosen.aligned.columns if column not in other[1]]:
            raise DataError(f"{other[0]}: has no column {lacking[0]!r}")
        taken = {column: other[1][column] for column in chosen.aligned.columns}
        yield f"{row[0]} (with {other[0]})", {**row[1], **taken}


def _read_squad(path: Path) -> Iterator[tuple[str, Row]]:
    return squad.paragraphs(path, files.text(path))


_READERS: Mapping[str, Read] = {
    "conll": conll.sentences,
    "conllu": conll.universal_sentences,
    "tsv": files.tsv,
    "csv": files.comma_separated,
    "jsonl": files.json_lines,
    "squad": _read_squad,
    "text": files.plain,
}


def _reader(name: str, header: bool) -> Read:
    return files.titled if header else _READERS[name]
