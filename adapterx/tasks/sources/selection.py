"""Which rows of published data a split has, for sources that name configurations and splits of a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from adapterx.config.fields import LanguageCode, Model, Strings
from adapterx.config.problems import did_you_mean
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources.entry import Entry, LeftOut
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.fields import Columns, Fold, listed_values, several
from adapterx.tasks.sources.files import Row
from adapterx.tasks.sources.rows import Reading, kept
from adapterx.wording import plain, shown

if TYPE_CHECKING:
    from adapterx.tasks.sources.row_source import RowSource
    from adapterx.tasks.spec import TaskSpec


def parts(value: Any) -> Any:
    """A bare split name stands for `{split: name}`."""
    return tuple({"split": one} if isinstance(one, str) else one for one in listed_values(several(value)))


def _texts(value: Any) -> Any:
    """Numbers are compared as they are written."""
    return tuple(str(one) if isinstance(one, int) else one for one in listed_values(value))


class PublishedRows(Model):
    """The rows of one split in some languages."""

    split: Annotated[str, Field(min_length=1)]
    """What the dataset calls it; {language} is replaced by the dataset's code of the language, here and below."""
    config: str | None = None
    """In place of the source's."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these rows: all of the task's when null."""
    where: dict[str, Annotated[Strings, BeforeValidator(_texts)]] = Field(default_factory=dict)
    """Rows to keep, by column: those whose value, as text, is one of these; a `*` at its end stands for any ending."""
    fold: Fold | None = None
    """Rows to keep, of all rows before `where`; all when null. Rows about one passage follow each other."""

    def chosen(self, code: str) -> dict[str, JSON]:
        """What of a split's rows is kept, for identities; nothing where all of them are.

        Args:
            code: the dataset's, of the language.
        """
        found: dict[str, JSON] = self.model_dump(mode="json", include={"where", "fold"}, exclude_defaults=True)
        if self.where:
            found["where"] = {column: list(values) for column, values in self.values(code).items()}
        return found

    def values(self, code: str) -> Mapping[str, tuple[str, ...]]:
        """What `where` asks for, in the dataset's own name of the language."""
        return {
            column: tuple(one.replace("{language}", code) for one in values) for column, values in self.where.items()
        }

    def counted(self, source: RowSource, rows: int) -> int | None:
        """How many of so many rows make examples; None where only what they say tells."""
        by_passage = self.fold is not None and ("answers" in source.columns or self.fold.by is not None)
        if self.where or source.leaves_out or by_passage:
            return None
        return rows if self.fold is None else sum(kept(self.fold, number) for number in range(rows))


def columns(source: RowSource, rows: PublishedRows) -> list[str]:
    """Every column that is looked at, each once."""
    named = [key for given in source.columns.values() for one in _written(given) for key in _named(one)]
    by = [rows.fold.by] if rows.fold is not None and rows.fold.by is not None else []
    return list(dict.fromkeys([*named, *rows.where, *by]))


def examples(
    spec: TaskSpec, source: RowSource, rows: PublishedRows, code: str, split: Split, read: Iterable[tuple[str, Row]]
) -> Iterator[Entry]:
    """The examples of the rows that are kept, in their order, or why a row is left out.

    Args:
        code: the dataset's, of the language.
        read: all rows with their places for messages.

    Raises DataError naming the place and the column.
    """
    where = rows.values(code)
    reading = Reading(spec, source)
    seen: set[str] = set()
    for number, (unit, place, row) in enumerate(_units(spec, source, read)):
        if not kept(rows.fold, unit, place, row) or not _wanted(row, where, place):
            continue
        one = reading.entry(f"{split}-{number}", place, row)
        if split == "test" and not isinstance(one, LeftOut):
            if one.id in seen:
                # A report pairs scores by item, so an id must mean one item.
                raise DataError(f"{place}: the id {shown(one.id)} stands at more than one item")
            seen.add(one.id)
        yield one


def flat(row: Row) -> Row:
    """A row with the fields of its structs beside them, under dotted names, those of structs within structs too."""
    found, left = dict(row), list(row.items())
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            inner = [(f"{name}.{field}", one) for field, one in value.items()]
            found |= inner
            left += inner
    return found


def _written(given: Columns) -> tuple[Any, ...]:
    """What a field is made of, each as it is written: one column, or several."""
    return given if isinstance(given, tuple) else (given,)


def _named(column: Any) -> list[str]:
    """The columns that a template is made of, or the column itself."""
    return re.findall(r"\{(\w+)\}", column) if "{" in column else [column]


def _units(spec: TaskSpec, source: RowSource, read: Iterable[tuple[str, Row]]) -> Iterator[tuple[int, str, Row]]:
    """Rows with the number that a fold goes by: the row's own, of extractive QA the passage's."""
    if not spec.kind.passages:
        yield from ((number, place, row) for number, (place, row) in enumerate(read))
        return
    named = _named(source.columns["context"])
    number, before = -1, None
    for place, row in read:
        passage = [row.get(column) for column in named]
        number, before = number + (passage != before), passage
        yield number, place, row


def _wanted(row: Row, where: Mapping[str, tuple[str, ...]], place: str) -> bool:
    return all(any(_fits(_text(row, column, place), value) for value in values) for column, values in where.items())


def _text(row: Row, column: str, place: str) -> str:
    """A column as `where` compares it."""
    if column not in row:
        hint = did_you_mean(column, map(str, row))
        raise DataError(f"{place}: has no column {column!r}" + (f" ({plain(hint, longest=400)})" if hint else ""))
    return str(row[column])


def _fits(text: str, value: str) -> bool:
    return text.startswith(value[:-1]) if value.endswith("*") else text == value
