"""Queries and candidates from files of their own: parallel sentences, mined pairs, topics and judgements."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO

from adapterx.recipe.problems import did_you_mean
from adapterx.store.identity import JSON
from adapterx.tasks.examples import PairExample, RetrievalExample
from adapterx.tasks.sources.errors import DataError, MissingData
from adapterx.tasks.sources.local import ENVIRONMENT, digest_of, root, stamp
from adapterx.tasks.spec import Column, Search, Sides, TaskSpec, Texts


def stream(spec: TaskSpec, source: Search, language: str, split: str) -> Iterator[RetrievalExample]:
    """The queries of a split in a language, then the candidates; none where the task has no such split.

    Queries of a ranking have at least one relevant candidate. Raises DataError or MissingData naming file and row.
    """
    sides = source.sides(language, split)
    if sides is None:
        return
    code = source.codes.get(language, language)
    candidates = [id for id, _ in _texts(sides.candidates, code)]
    if sides.relevant is None:
        yield from _aligned(_texts(sides.queries, code), candidates, _names(sides, code))
    else:
        queries = [id for id, _ in _texts(sides.queries, code)]
        relevant = _relevant(_judgements(sides.relevant, code), queries, candidates)
        for id, text in _texts(sides.queries, code):
            found = relevant.get(id, ())
            if found or spec.mines:
                yield RetrievalExample(id, text, tuple(dict.fromkeys(found)))
    for id, text in _texts(sides.candidates, code):
        yield RetrievalExample(id, text, None)


def from_rows(rows: Iterable[PairExample]) -> Iterator[RetrievalExample]:
    """Queries and candidates that stand side by side, each the other's."""
    for number, row in enumerate(rows):
        assert row.text_pair is not None
        yield RetrievalExample(row.id, row.text, (number,))
        yield RetrievalExample(row.id, row.text_pair, None)


def size(spec: TaskSpec, source: Search, language: str, split: str) -> int:
    """How many queries a split has, of a ranking those with something to find; 0 where the task has no such split."""
    sides = source.sides(language, split)
    if sides is None:
        return 0
    code = source.codes.get(language, language)
    if sides.relevant is not None and not spec.mines:
        return len({query for _, query, _, relevant in _pairs(_judgements(sides.relevant, code)) if relevant})
    return sum(_count(path, *stamp(path)) for path in _paths(sides.queries, code))


def digest(source: Search, language: str, split: str) -> dict[str, JSON]:
    """What decides the texts of a split: of each side how it is read, and SHA-256 of its files in order."""
    sides = source.sides(language, split)
    if sides is None:
        return {}
    code = source.codes.get(language, language)
    found: dict[str, JSON] = {}
    for name, side in (("queries", sides.queries), ("candidates", sides.candidates)):
        found[name] = {**side.model_dump(mode="json", exclude={"paths"}), "sha256": _sha256(_paths(side, code))}
    if sides.relevant is not None:
        found["relevant"] = _sha256([_judgements(sides.relevant, code)])
    return found


def _sha256(paths: Iterable[Path]) -> JSON:
    return [digest_of(path) for path in paths]


def _aligned(queries: Iterable[tuple[str, str]], candidates: list[str], names: str) -> Iterator[RetrievalExample]:
    count = 0
    for number, (id, text) in enumerate(queries):
        count += 1
        yield RetrievalExample(id, text, (number,))
    if count != len(candidates):
        raise DataError(f"{names}: {count} queries and {len(candidates)} candidates, though they stand row by row")


def _judgements(relevant: str, code: str) -> Path:
    return root() / relevant.replace("{language}", code)


def _relevant(path: Path, queries: list[str], candidates: list[str]) -> dict[str, list[int]]:
    """Of each query, by id, the places of its candidates."""
    place, known = {id: number for number, id in enumerate(candidates)}, set(queries)
    for count, ids, noun in ((len(place), candidates, "candidates"), (len(known), queries, "queries")):
        if count < len(ids):
            raise DataError(f"{path}: two {noun} have the same id, so its pairs name no one of them")
    found: dict[str, list[int]] = {}
    for where, query, candidate, relevant in _pairs(path):
        if not relevant:
            continue
        if query not in known or candidate not in place:
            wrong, noun = (candidate, "candidate") if query in known else (query, "query")
            raise DataError(f"{where}: '{wrong}' is no {noun}'s id")
        found.setdefault(query, []).append(place[candidate])
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
                " relevance"
            )


def _texts(side: Texts, code: str) -> Iterator[tuple[str, str]]:
    """(id, text) of each row; a row without an id is named by its number."""
    number = 0
    for path in _paths(side, code):
        read = _read_json if path.name.removesuffix(".gz").endswith(".jsonl") else _read_tsv
        for where, cell in read(path):
            yield (str(number) if side.id is None else cell(side.id, where)), cell(side.text, where)
            number += 1


Cell = Callable[[Column, str], str]


def _read_tsv(path: Path) -> Iterator[tuple[str, Cell]]:
    for number, line in _lines(path):
        cells = line.split("\t")

        def cell(column: Column, where: str, cells: list[str] = cells) -> str:
            if not isinstance(column, int):
                raise DataError(f"{where}: tab-separated files are read by position, not by {column!r}: text: 0")
            if column >= len(cells):
                raise DataError(f"{where}: has no column {column}; it has {len(cells)}, counted from 0")
            if not cells[column].strip():
                raise DataError(f"{where}: column {column} is empty")
            return cells[column]

        yield f"{path}:{number}", cell


def _read_json(path: Path) -> Iterator[tuple[str, Cell]]:
    for number, line in _lines(path):
        where = f"{path}:{number}"
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: is not JSON ({error})") from None

        def cell(column: Column, where: str, row: object = row) -> str:
            keys = re.findall(r"\{(\w+)\}", column) if isinstance(column, str) and "{" in column else [column]
            for key in keys:
                if not isinstance(row, dict) or not isinstance(row.get(key), str | int):
                    hint = did_you_mean(str(key), [str(one) for one in row] if isinstance(row, dict) else [])
                    raise DataError(f"{where}: has no text {key!r}" + (f" ({hint})" if hint else ""))
            assert isinstance(row, dict)
            if keys == [column]:
                return str(row[column])
            return re.sub(r"\{(\w+)\}", lambda found: str(row[found[1]]), str(column))

        yield where, cell


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without their ends. Only line feeds end a line."""
    stamp(path)
    try:
        with _opened(path) as stream:
            for number, line in enumerate(stream, start=1):
                yield number, line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path}: is not a whole gzip file ({error})") from None


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="\n")
    return path.open(encoding="utf-8-sig", newline="\n")


def _paths(side: Texts, code: str) -> list[Path]:
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


def _names(sides: Sides, code: str) -> str:
    return ", ".join(str(path) for side in (sides.queries, sides.candidates) for path in _paths(side, code))


@lru_cache(maxsize=4096)
def _count(path: Path, _bytes: int, _modified: int) -> int:
    return sum(1 for _ in _lines(path))
