"""New items to be answered: JSON lines with the fields of a task's kind, labels not needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adapterx.config.problems import did_you_mean
from adapterx.errors import AdapterxError
from adapterx.reading import MEGABYTE, UnreadableFile, parse_json
from adapterx.tasks.examples import Example
from adapterx.tasks.kinds import portable
from adapterx.tasks.kinds.base import TaskKind
from adapterx.wording import shown

_LONGEST_KEY = 40  # characters that are compared with the names of fields
LONGEST = MEGABYTE
"""Characters of a line: some hundred pages. The tokenizer takes hundreds of bytes for each of them."""


def _answers() -> set[str]:
    """Fields of gold answers, which a file of examples may hold."""
    return {field for one in portable().values() for field in one.required if field not in one.item_fields}


class ItemError(AdapterxError, ValueError):
    """A line that is no item of the task; the message gives the line and the field."""


def read(lines: Iterable[str], where: str, kind: TaskKind[Any], labels: tuple[str, ...]) -> list[Example]:
    """The items of a file, their labels set to the first. An item without an `id` is named by its line.

    Args:
        where: the file's name, for messages.
        labels: of multiple choice the names of the positions: an item has no more choices.

    Raises ItemError.
    """
    return [_item(Line(f"{where}:{number}", row), str(number), kind, labels) for number, row in _rows(lines, where)]


def _rows(lines: Iterable[str], where: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST:
            raise ItemError(f"{where}:{number}: has more than {LONGEST:,} characters: make several items of its text")
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except UnreadableFile as error:
            raise ItemError(f"{where}:{number}: {error}") from None
        if not isinstance(row, dict):
            raise ItemError(f"{where}:{number}: is not a JSON object with the fields of an item")
        yield number, row


def _item(line: Line, number: str, kind: TaskKind[Any], labels: tuple[str, ...]) -> Example:
    line.check_fields(kind.item_fields)
    found: Example = kind.item(line.identity(number), line, labels)
    return found


class Line:
    """One row, read by field. What is asked for and is not there raises ItemError."""

    def __init__(self, place: str, row: Mapping[str, Any]) -> None:
        self.place = place
        self.row = {key: value for key, value in row.items() if not (key == "text_pair" and value is None)}

    def error(self, field: str, what: str) -> ItemError:
        """What is wrong with a field."""
        return ItemError(f"{self.place}: {field}: {what}")

    def check_fields(self, known: tuple[str, ...]) -> None:
        """Refuse fields that are not known, gold answers apart."""
        allowed = ("id", *known)
        for key in self.row:
            if key not in allowed and key not in _answers():
                hint = did_you_mean(key[:_LONGEST_KEY], allowed)
                raise ItemError(f"{self.place}: unknown field {shown(key)}" + (f" ({hint})" if hint else ""))

    def identity(self, default: str) -> str:
        """The item's id, or else the default."""
        given = self.row.get("id", default)
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise ItemError(f"{self.place}: id: should be a text or a whole number")
        return str(given)

    def text(self, field: str) -> str:
        """A text."""
        value = self._get(field)
        if not isinstance(value, str):
            raise ItemError(f"{self.place}: {field}: should be a text, not {shown(value)}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts, one at least."""
        value = self._get(field)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise ItemError(f"{self.place}: {field}: should be a list of texts, not {shown(value)}")
        return tuple(value)

    def _get(self, field: str) -> Any:
        if field not in self.row:
            raise ItemError(f"{self.place}: lacks the field '{field}'")
        return self.row[field]
