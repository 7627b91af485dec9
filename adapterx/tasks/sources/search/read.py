"""Queries and candidates from files of their own: parallel sentences, mined pairs, topics and judgements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapterx.config.problems import did_you_mean
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Example, Split
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.sources.fields import Column
from adapterx.tasks.sources.files import ENVIRONMENT, digest_of, evenly, json_object, lines, root, stamp
from adapterx.wording import plain, shown

if TYPE_CHECKING:
    from adapterx.tasks.sources.search.spec import SearchSource, Sides, Texts
    from adapterx.tasks.spec import TaskSpec


def stream(spec: TaskSpec, source: SearchSource, language: str, split: Split) -> Iterator[Example]:
    """The queries of a split in a language, then the candidates; none where the task has no such split.

    Queries of a ranking have at least one relevant candidate. Raises DataError or MissingData naming file and row.
    """
    sides = source.sides(language, split)
    if sides is None:
        return
    code, make = source.codes.get(language, language), spec.kind.example
    places = _places(sides.candidates, code)
    if sides.relevant is None:
        yield from _aligned(sides, code, len(places), make)
    else:
        relevant = _relevant(_judgements(sides.relevant, code), _places(sides.queries, code), places)
        for _, id, text in _texts(sides.queries, code):
            found = relevant.get(id, ())
            if found or spec.mines:
                yield make(id, text, tuple(dict.fromkeys(found)))
    for _, id, text in _texts(sides.candidates, code):
        yield make(id, text, None)


def size(spec: TaskSpec, source: SearchSource, language: str, split: Split) -> int:
    """How many queries a split has, of a ranking those with something to find; 0 where the task has no such split."""
    sides = source.sides(language, split)
    if sides is None:
        return 0
    code = source.codes.get(language, language)
    if sides.relevant is not None and not spec.mines:
        return len({query for _, query, _, relevant in _pairs(_judgements(sides.relevant, code)) if relevant})
    return sum(_count(path, *stamp(path)) for path in paths(sides.queries, code))


def texts(source: SearchSource, language: str, split: Split) -> int:
    """How many texts a split has, queries and candidates together; 0 where the task has no such split."""
    sides = source.sides(language, split)
    if sides is None:
        return 0
    code = source.codes.get(language, language)
    return sum(_count(path, *stamp(path)) for side in (sides.queries, sides.candidates) for path in paths(side, code))


def digest(source: SearchSource, language: str, split: Split) -> dict[str, JSON]:
    """What decides the texts of a split: of each side how it is read, and SHA-256 of its files in order."""
    sides = source.sides(language, split)
    if sides is None:
        return {}
    code = source.codes.get(language, language)
    found: dict[str, JSON] = {}
    for name, side in (("queries", sides.queries), ("candidates", sides.candidates)):
        found[name] = {**side.model_dump(mode="json", exclude={"paths"}), "sha256": _sha256(paths(side, code))}
    if sides.relevant is not None:
        found["relevant"] = _sha256([_judgements(sides.relevant, code)])
    return found


def files(sides: Sides, code: str) -> list[Path]:
    """Those that say how many queries there are: of the queries, and of what is relevant to them."""
    return [*paths(sides.queries, code), *([] if sides.relevant is None else [_judgements(sides.relevant, code)])]


def _sha256(paths: Iterable[Path]) -> JSON:
    return [digest_of(path) for path in paths]


def _aligned(sides: Sides, code: str, candidates: int, make: type[Any]) -> Iterator[Example]:
    """Queries whose candidates stand in the same rows."""
    number, seen = 0, set()
    for where, id, text in _texts(sides.queries, code):
        if id in seen:
            raise DataError(f"{where}: the id {shown(id)} stands at more than one query")
        seen.add(id)
        yield make(id, text, (number,))
        number += 1
    if number != candidates:
        names = ", ".join(str(path) for side in (sides.queries, sides.candidates) for path in paths(side, code))
        raise DataError(f"{names}: {number} queries and {candidates} candidates, though they stand row by row")


def _places(side: Texts, code: str) -> dict[str, int]:
    """Of each id its row, counted from 0. Raises DataError for one that two rows have."""
    found: dict[str, int] = {}
    for where, id, _ in _texts(side, code):
        if id in found:
            raise DataError(f"{where}: the id {shown(id)} stands at more than one text of {', '.join(side.paths)}")
        found[id] = len(found)
    return found


def _judgements(relevant: str, code: str) -> Path:
    return root() / relevant.replace("{language}", code)


def _relevant(path: Path, queries: Mapping[str, int], candidates: Mapping[str, int]) -> dict[str, list[int]]:
    """Of each query, by id, the places of its candidates."""
    found: dict[str, list[int]] = {}
    for where, query, candidate, relevant in _pairs(path):
        if not relevant:
            continue
        if query not in queries or candidate not in candidates:
            wrong, noun = (candidate, "candidate") if query in queries else (query, "query")
            raise DataError(f"{where}: {shown(wrong)} is no {noun}'s id")
        found.setdefault(query, []).append(candidates[candidate])
    return found


def _pairs(path: Path) -> Iterator[tuple[str, str, str, bool]]:
    """Place, query, candidate and whether it is relevant: two columns; BEIR's three under a header, the last a score;
    or TREC's four, the second of no meaning.
    """
    for number, line in _lines(path):
        cells, where = line.split("\t") if "\t" in line else line.split(), f"{path}:{number}"
        if not line:
            continue
        if len(cells) == 2:
            yield where, cells[0], cells[1], True
        elif len(cells) in (3, 4) and cells[-1].lstrip("-").isdigit():
            yield where, cells[0], cells[-2], int(cells[-1]) > 0
        elif number > 1 or len(cells) != 3:
            raise DataError(
                f"{where}: should be two ids; BEIR's query, candidate and score; or TREC's query, 0, candidate and"
                f" relevance, not {shown(line)}"
            )


Cell = Callable[[Column], str]
"""The text of a column; it raises DataError, without the row's place, for one that is not there or is empty."""


def _texts(side: Texts, code: str) -> Iterator[tuple[str, str, str]]:
    """(place, id, text) of each row; a row without an id is named by its number."""
    number = 0
    for path in paths(side, code):
        read = _read_json if _is_json(path) else _read_tsv
        for where, cell in read(path):
            try:
                yield where, str(number) if side.id is None else _text(cell, side.id), _text(cell, side.text)
            except _RowError as error:
                raise DataError(f"{where}: {error}") from None
            number += 1


class _RowError(ValueError):
    """What is wrong with a row, without its place."""


def _text(cell: Cell, column: Column) -> str:
    """A column's text, or what a template of columns comes to."""
    keys = _TEMPLATE.findall(column) if isinstance(column, str) and "{" in column else []
    found = {key: cell(key) for key in keys}
    text = _TEMPLATE.sub(lambda match: found[match[1]], str(column)) if keys else cell(column)
    if not any(one.strip() for one in found.values() or (text,)):
        raise _RowError(f"column {column} is empty")
    return text


_TEMPLATE = re.compile(r"\{(\w+)\}")


def _read_tsv(path: Path) -> Iterator[tuple[str, Cell]]:
    for where, cells in evenly(path, _lines(path)):
        yield where, partial(_cell, cells)


def _cell(cells: list[str], column: Column) -> str:
    place = int(column) if str(column).isdecimal() else None
    if place is None:
        raise _RowError(f"tab-separated files are read by position, not by {column!r}: text: 0")
    if place >= len(cells):
        raise _RowError(f"has no column {place}; it has {len(cells)}, counted from 0: {shown(cells)}")
    return cells[place]


def _read_json(path: Path) -> Iterator[tuple[str, Cell]]:
    for number, line in _lines(path):
        if line.strip():
            yield f"{path}:{number}", partial(_value, json_object(line, f"{path}:{number}"))


def _value(row: Mapping[Any, Any], key: Column) -> str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        hint = "" if key in row else did_you_mean(key, map(str, row))
        held = f" but {shown(value)}" if key in row else ""
        raise _RowError(f"has no text {key!r}{held}" + (f" ({plain(hint, longest=400)})" if hint else ""))
    return str(value)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without their ends."""
    return enumerate(lines(path), start=1)


def paths(side: Texts, code: str) -> list[Path]:
    """The files of one side; names with a star in the order of what they match."""
    found: list[Path] = []
    for pattern in side.paths:
        name = pattern.replace("{language}", code)
        path, given = root() / name, Path(name)
        start = Path(given.anchor) if given.is_absolute() else root()
        matching = sorted(start.glob(str(given.relative_to(given.anchor)))) if "*" in name else [path]
        if not matching:
            raise MissingData(f"{path}: no such files (the data directory is set by {ENVIRONMENT})")
        found += matching
    return found


@lru_cache(maxsize=4096)
def _count(path: Path, _bytes: int, _modified: int) -> int:
    """Rows of a file; a blank line is one of a tab-separated file, which is then refused."""
    skips = _is_json(path)
    return sum(1 for _, line in _lines(path) if not skips or line.strip())


def _is_json(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".jsonl")
