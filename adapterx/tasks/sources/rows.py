"""What a row says as an example: texts, words, choices and labels, each of the type that it should be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from adapterx.config.problems import did_you_mean
from adapterx.tasks.sources import conll
from adapterx.tasks.sources.entry import Entry, or_left_out
from adapterx.tasks.sources.errors import DataError, MissingValue
from adapterx.tasks.sources.fields import Column, Columns, Fold, Misplaced
from adapterx.tasks.sources.files import Row, root
from adapterx.wording import plain, shown

if TYPE_CHECKING:
    from adapterx.tasks.sources.row_source import RowSource
    from adapterx.tasks.spec import TaskSpec

UNLABELLED = ("", "-", "_")
"""What stands for "no label" where a task has none of that name: nothing, SNLI's mark, and CoNLL-U's."""
_HUB_UNLABELLED = -1
"""What the `datasets` library writes for a class label that is not known."""
_FEW = 12
"""Labels that a message lists."""
_WHITE = " \t\n\r\f\v"
"""What stands between words; a non-breaking space and its like are part of one."""
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_INVISIBLE = re.compile("[\\s\u200b-\u200d\u2060\ufeff]*")


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


class Reading:
    """How the rows of one source of a task become examples."""

    def __init__(self, spec: TaskSpec, source: RowSource) -> None:
        self.spec, self.source = spec, source
        self._meant = source.values.get("label", {})
        self._read: dict[str, int] = {}
        """Tags that have been read, and the positions of their labels: a file has millions of a few."""

    def entry(self, name: str, place: str, row: Row, given: tuple[str, str] | None = None) -> Entry:
        """What a row says, or why it is left out.

        Args:
            name: identifies the item where no column does.
            place: where the row stands, for messages.
            given: the label's place and the label, where it stands apart from the row.

        Raises DataError naming the place and the column.
        """
        cells = Cells(self, place, row, given)
        return or_left_out(self.source.missing, lambda: self.spec.kind.read(cells.identity(name), cells))

    def tag_labels(self, cells: Cells, words: Sequence[str], tags: Sequence[Any]) -> tuple[int, ...]:
        """The positions of the labels of a row's tags, one for each word."""
        try:
            return tuple([self._read[tag] for tag in tags])
        except (KeyError, TypeError):  # a tag that was not read before, or that is no tag
            labels = [self.label(tag, cells.place_of(at), f" of {shown(words[at])}") for at, tag in enumerate(tags)]
        self._read.update((tag, label) for tag, label in zip(tags, labels, strict=True) if isinstance(tag, str))
        return tuple(labels)

    def label(self, value: object, place: str, of: str = "") -> int:
        """The position of a label: of the one that reads as the value does, else, of a whole number, that position.

        A number is no position where the task's labels are numbers themselves.

        Args:
            of: what is labelled, for messages.
        """
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        for written in _spellings(value):
            name = self._meant.get(written, written)
            if name in self._places:
                return self._places[name]
        if number is not None and str(number) not in self._meant and not self._numbered:
            if 0 <= number < len(self._places):
                return number
            if number == _HUB_UNLABELLED:
                raise MissingValue(f"{place}: the label{of} is -1, which stands for none")
        if _is_missing(value) or str(value).strip() in UNLABELLED:
            raise MissingValue(f"{place}: the label{of} is {_said(value)}, and the task has no such label")
        self._refuse_label(value, place, of)

    def _refuse_label(self, value: object, place: str, of: str) -> NoReturn:
        if not isinstance(value, str | int | float):
            raise DataError(f"{place}: the label{of} should be a text or a whole number, not {_said(value)}")
        written = _spellings(value)[0]
        name = self._meant.get(written, written)
        raise DataError(f"{place}: unknown label {shown(name)}{of}; {self._known(name)}")

    def _known(self, name: str) -> str:
        """Where a label should stand: all of them where there are few."""
        labels, file = self.spec.labels, self.spec.label_file
        hint = did_you_mean(name[:100], labels)
        if file is not None:
            return f"it is none of the {len(labels):,} in {root() / file}" + (f" ({hint})" if hint else "")
        if len(labels) > _FEW and hint:
            return f"it is none of the task's {len(labels):,} ({hint})"
        return f"the task has {plain(', '.join(labels), longest=400)}"

    @cached_property
    def _places(self) -> dict[str, int]:
        return {label: at for at, label in enumerate(self.spec.labels)}

    @cached_property
    def _numbered(self) -> bool:
        """Whether any label is a number itself."""
        return any(_NUMBER.fullmatch(label) for label in self.spec.labels)


class Cells:
    """The cells of one row, read by column. What is asked for and is not there raises DataError, naming both.

    Args:
        place: where the row stands, for messages.
        given: the label's place and the label, where it stands apart from the row.
    """

    def __init__(self, reading: Reading, place: str, row: Row, given: tuple[str, str] | None = None) -> None:
        self.reading, self.place, self._row, self._given = reading, place, row, given

    @property
    def columns(self) -> Mapping[str, Any]:
        """Where each field of the task's kind stands, as the YAML says."""
        return self.reading.source.columns

    @property
    def labels(self) -> Sequence[str]:
        """The task's labels."""
        return self.reading.spec.labels

    @property
    def unanswerable(self) -> bool:
        """Whether some questions of the task have no answer."""
        return self.reading.spec.unanswerable

    @property
    def misplaced(self) -> Misplaced:
        """What becomes of an answer that stands elsewhere than its row says."""
        return self.reading.source.misplaced

    def identity(self, default: str) -> str:
        """What names the item: its own id, if a column holds ids."""
        return self.text(self.columns["id"]) if "id" in self.columns else default

    def label(self) -> int:
        """The position of the row's label."""
        place, value = (self.place, self.cell(self.columns["label"])) if self._given is None else self._given
        return self.reading.label(value, place)

    def tag_labels(self, words: Sequence[str], tags: Sequence[Any]) -> tuple[int, ...]:
        """The positions of the labels of tags, one for each word."""
        return self.reading.tag_labels(self, words, tags)

    def named(self, column: Columns) -> str:
        """A column, for messages."""
        return _of_column(column)

    def cell(self, column: Columns) -> Any:
        if column not in self._row:
            raise DataError(f"{self.place}: has no column {shown(column)}{self._instead(column)}")
        return self._row[column]

    def text(self, column: Columns, blank: bool = False) -> str:
        """What a column, or a template of columns, comes to.

        Args:
            blank: whether it may be empty.
        """
        if isinstance(column, str) and "{" in column:
            found = _TEMPLATE.sub(lambda match: self._meant(self._position(match[1])), column)
            # A template's own words are no text of the row.
            empty = all(_is_blank(self._meant(self._position(key))) for key in _TEMPLATE.findall(column))
        else:
            found = self._meant(column)
            empty = _is_blank(found)
        if empty and not blank and self.reading.source.missing != "keep":
            raise MissingValue(f"{self.place}: {_of_column(column)} is blank")
        return found

    def texts(self, columns: Columns) -> tuple[str, ...]:
        """The texts of several columns, or those that a list in one column holds."""
        if isinstance(columns, tuple):
            return tuple(self.text(column) for column in columns)
        value = self.cell(columns)
        if _is_missing(value):
            raise MissingValue(f"{self.place}: {_of_column(columns)} holds no list but {_said(value)}")
        if not isinstance(value, list | tuple):
            raise DataError(f"{self.place}: {_of_column(columns)} should hold a list of texts, not {_said(value)}")
        found = tuple(self._written(one, columns, f", at {at}") for at, one in enumerate(value))
        for at, one in enumerate(found):
            if _is_blank(one) and self.reading.source.missing != "keep":
                raise MissingValue(f"{self.place}: {_of_column(columns)}, at {at}, is blank")
        return found

    def words(self, column: Columns) -> tuple[str, ...]:
        """The words of a list, or those that stand between the white space of a text."""
        given = self.tags(column)
        if set(map(type, given)) == {str} and all(map(str.strip, given)):  # as nearly always
            return tuple(given)
        found = tuple(
            one if isinstance(one, str) else self._written(one, column, f", at {at}") for at, one in enumerate(given)
        )
        for at, word in enumerate(found):
            if not word.strip(_WHITE) and self.reading.source.missing != "keep":
                raise MissingValue(f"{self.place_of(at)}: {_of_column(column)} lacks a word: {shown(found)}")
        return found

    def tags(self, column: Columns) -> list[Any]:
        """The values of a list, or what stands between the white space of a text."""
        value = self.cell(column)
        if _is_missing(value):
            raise MissingValue(f"{self.place}: {_of_column(column)} holds no list but {_said(value)}")
        if not isinstance(value, str | list | tuple):
            raise DataError(f"{self.place}: {_of_column(column)} holds no list but {_said(value)}")
        return _parted(value) if isinstance(value, str) else list(value)

    def place_of(self, word: int) -> str:
        """Where a word of the row stands: of a file with a word a line, on its own line."""
        numbers = self._row.get(conll.LINES)
        if not self.reading.source.lines_of_words or not isinstance(numbers, tuple) or word >= len(numbers):
            return self.place
        return f"{self.place.rpartition(':')[0]}:{numbers[word]}"

    def _position(self, key: str) -> Column:
        """A key of a template, which is a number where columns have none but positions."""
        return int(key) if key.isdecimal() and key not in self._row and 0 in self._row else key

    def _instead(self, column: Columns) -> str:
        """What there is in place of a column."""
        if 0 in self._row:
            count = len([key for key in self._row if isinstance(key, int)])
            cells = [cell[0] if isinstance(cell, tuple) else cell for key, cell in self._row.items() if key != "line"]
            return f"; it has {count}, by position from 0: {shown(cells)}"
        hint = did_you_mean(column, [str(key) for key in self._row])
        return f" ({plain(hint, longest=400)})" if hint else ""

    def _meant(self, column: Columns) -> str:
        written = self._written(self.cell(column), column)
        return self.reading.source.values.get(str(column), {}).get(written, written)

    def _written(self, value: object, column: Columns, at: str = "") -> str:
        """A text as it is, a number as it was written."""
        if isinstance(value, str):
            return value
        if _is_missing(value):
            raise MissingValue(f"{self.place}: {_of_column(column)}{at} holds no text but {_said(value)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{self.place}: {_of_column(column)}{at} holds no text but {_said(value)}")
        return str(value)


_TEMPLATE = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=64)
def _of_column(column: Columns) -> str:
    return f"the column {column!r}"


def _parted(text: str) -> list[str]:
    """What stands between white space of ASCII."""
    return [one for one in re.split(f"[{_WHITE}]+", text) if one]


def _is_missing(value: object) -> bool:
    """Null, NaN or an infinity, which stand for no value."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _is_blank(text: str) -> bool:
    """Whether a text has nothing but white space and characters without width."""
    return _INVISIBLE.fullmatch(text) is not None


def _spellings(value: object) -> list[str]:
    """How a label may be written that is this value; a label may carry a space or the end of its line."""
    if isinstance(value, bool):
        return [str(value), str(value).lower()]
    return [str(value).strip()] if isinstance(value, str | int | float) and not _is_missing(value) else []


def _said(value: object) -> str:
    """A value as a file has it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return shown(value)
