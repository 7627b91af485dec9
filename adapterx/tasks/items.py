"""New items to be answered: JSON lines with the fields of a task's format, labels not needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adapterx.config.problems import did_you_mean
from adapterx.errors import AdapterxError
from adapterx.reading import MEGABYTE, UnreadableFile, parse_json
from adapterx.tasks.examples import Example
from adapterx.tasks.kinds.encoding import Format
from adapterx.tasks.kinds.extractive_qa import QAExample
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.wording import shown

_LONGEST_KEY = 40  # characters that are compared with the names of fields
LONGEST = MEGABYTE
"""Characters of a line: some hundred pages. The tokenizer takes hundreds of bytes for each of them."""

_FIELDS: dict[Format, tuple[str, ...]] = {
    "pair-classification": ("text", "text_pair"),
    "tagging": ("words",),
    "multiple-choice": ("context", "choices"),
    "extractive-qa": ("question", "context"),
}
_IGNORED = ("label", "tags", "answers")
"""Gold answers, which a file of examples may hold."""


class ItemError(AdapterxError, ValueError):
    """A line that is no item of the task; the message gives the line and the field."""


def read(lines: Iterable[str], where: str, format_: Format, labels: tuple[str, ...]) -> list[Example]:
    """The items of a file, their labels set to the first. An item without an `id` is named by its line.

    Args:
        where: the file's name, for messages.
        labels: of multiple choice the names of the positions: an item has no more choices.

    Raises ItemError.
    """
    return [_item(_Line(f"{where}:{number}", row), str(number), format_, labels) for number, row in _rows(lines, where)]


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


def _item(line: _Line, number: str, format_: Format, labels: tuple[str, ...]) -> Example:
    line.check_fields(_FIELDS[format_])
    id = line.identity(number)
    if format_ == "tagging":
        words = line.texts("words")
        return TaggingExample(id, words, (0,) * len(words))
    if format_ == "multiple-choice":
        choices = line.texts("choices")
        if len(choices) > len(labels):
            raise ItemError(f"{line.place}: choices: {len(choices)} are more than the {len(labels)} of the task")
        return ChoiceExample(id, line.text("context"), choices, 0)
    if format_ == "extractive-qa":
        return QAExample(id, line.text("question"), line.text("context"), ())
    return PairExample(id, line.text("text"), line.text("text_pair") if "text_pair" in line.row else None, 0)


class _Line:
    """One row, read by field."""

    def __init__(self, place: str, row: Mapping[str, Any]) -> None:
        self.place = place
        self.row = {key: value for key, value in row.items() if not (key == "text_pair" and value is None)}

    def check_fields(self, known: tuple[str, ...]) -> None:
        allowed = ("id", *known)
        for key in self.row:
            if key not in allowed and key not in _IGNORED:
                hint = did_you_mean(key[:_LONGEST_KEY], allowed)
                raise ItemError(f"{self.place}: unknown field {shown(key)}" + (f" ({hint})" if hint else ""))

    def identity(self, default: str) -> str:
        given = self.row.get("id", default)
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise ItemError(f"{self.place}: id: should be a text or a whole number")
        return str(given)

    def text(self, field: str) -> str:
        value = self._get(field)
        if not isinstance(value, str):
            raise ItemError(f"{self.place}: {field}: should be a text, not {shown(value)}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        value = self._get(field)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise ItemError(f"{self.place}: {field}: should be a list of texts, not {shown(value)}")
        return tuple(value)

    def _get(self, field: str) -> Any:
        if field not in self.row:
            raise ItemError(f"{self.place}: lacks the field '{field}'")
        return self.row[field]
