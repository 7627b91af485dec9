"""What a task's YAML says of files under the data directory, and what the rest asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field

from adapterx.config.fields import LanguageCode, Model, Strings
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds import kinds
from adapterx.tasks.sources.base import SourceSettingError
from adapterx.tasks.sources.entry import Entry
from adapterx.tasks.sources.fields import (
    Column,
    DataPath,
    DataPaths,
    Fold,
    Misplaced,
    Missing,
    first_languages,
    part,
    several,
)
from adapterx.tasks.sources.local import read
from adapterx.tasks.sources.row_source import RowSource
from adapterx.wording import shown

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec


class Aligned(Model):
    """Columns taken from a file with the same rows in another language, where a file's own are missing or wrong."""

    path: DataPath
    columns: Strings


class Files(Model):
    """The files of one split in some languages."""

    paths: DataPaths
    """Relative to the data directory, read one after another; {language} is replaced by the language."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these files: all of the task's when null."""
    labels: DataPath | None = None
    """A file with one label a line, for rows that carry none."""
    aligned: Aligned | None = None
    """Columns to take from another file of the same reader (jsonl), row by row."""
    fold: Fold | None = None
    """Rows to keep; all when null."""


class LocalSource(RowSource):
    """Examples read from files under the data directory."""

    counted_by_reading: ClassVar[bool] = True

    kind: Literal["local"]
    reader: Literal["tsv", "csv", "jsonl", "conll", "conllu", "squad", "text"]
    columns: dict[str, Column | Annotated[tuple[Column, ...], Field(strict=False)]]
    """Where each field of the format is found in a row; `id`, when given, names the item.

    SQuAD's JSON is read as it is: {}, or {id: id} where ids name questions. A line of text is the column `text`.
    Words and tags that a cell holds as one text stand between spaces, tabs or line feeds.
    """
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per key of a row (jsonl) or for `label`: what is written → what is meant."""
    header: bool = False
    """Whether the first line of each tsv file names its columns; that of a csv file always does."""
    misplaced: Misplaced = "refuse"
    missing: Missing = "refuse"
    splits: dict[Split, Annotated[tuple[Files, ...], Field(strict=False), BeforeValidator(several)]]

    @property
    def in_words(self) -> str:
        """Files, whatever reads them."""
        return "files"

    @property
    def split_names(self) -> tuple[Split, ...]:
        """The splits that have files."""
        return tuple(self.splits)

    @property
    def own_languages(self) -> tuple[str, ...]:
        """The first language of each set of files that is for some languages alone."""
        return first_languages(self.splits)

    @property
    def lines_of_words(self) -> bool:
        """Whether the files have a word a line."""
        return self.reader in ("conll", "conllu")

    @property
    def fields_apart(self) -> frozenset[str]:
        """The label, where every split has its labels in files of their own."""
        apart = all(files.labels for split in self.splits.values() for files in split)
        return frozenset({"label"} if apart else ())

    def files(self, language: str, split: Split) -> Files | None:
        """The files of a split in a language, None where there are none."""
        return part(self.splits, language, split)

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """The examples of the files one after another."""
        return read.stream(task, self, language, split)

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """How rows are read, and the SHA-256 of the files: neither their names nor their places."""
        reading = self.model_dump(mode="json", include={"reader", "columns", "values"})
        # A setting at its default is left out of identities.
        reading |= ({"header": True} if self.header else {}) | self.choices()
        return {
            "local": cast(JSON, reading),
            "splits": {
                split: {language: self._digest(language, split) for language in languages}
                for split, languages in splits.items()
            },
        }

    def _digest(self, language: str, split: Split) -> JSON:
        files = self.files(language, split)
        rows = None if files is None else files.model_dump(mode="json", include={"fold", "aligned"}, exclude_none=True)
        return {"rows": rows, "sha256": cast(JSON, read.digest(self, language, split))}

    def holds_nothing(self, language: str, split: Split) -> bool:
        """Whether the files have no row, perhaps not even the names of their columns."""
        return not read.size(self, language, split)

    def size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """Rows, or questions, as the files are counted without making examples; None where some are left out."""
        if self.leaves_out:
            return 0 if self.files(language, split) is None else None
        return read.size(self, language, split)

    def paths(self, language: str, split: Split) -> list[Path]:
        """The files of a split, less those of labels and of aligned columns."""
        files = self.files(language, split)
        return [] if files is None else read.paths(files, language)

    def read_ahead(self, language: str, split: Split) -> bool:
        """Whether a row can be wrong: lines of plain text cannot, and there may be very many."""
        return self.reader != "text"

    def check(self, task: TaskSpec, name: str) -> None:
        """Refuse settings that the reader has not, or that do not fit the format."""
        self._check_reader(task, name)
        self._check_places(name)
        super().check(task, name)

    def check_columns(self, task: TaskSpec, name: str) -> None:
        """Refuse columns that do not fit the format; SQuAD's JSON names its own."""
        if self.reader != "squad":
            super().check_columns(task, name)

    def _check_reader(self, task: TaskSpec, name: str) -> None:
        if self.header and self.reader != "tsv":
            raise ValueError(f"source {name}: header is of the tsv reader; a csv file has one, others have none")
        if self.reader != "jsonl" and any(f.aligned for split in self.splits.values() for f in split):
            raise ValueError(f"source {name}: columns are taken from aligned files by key, so their reader is jsonl")
        if task.kind.searched:
            raise ValueError(f"source {name}: files of the format retrieval are of the kind search")
        for other in kinds().values():
            if self.reader in other.readers and other is not task.kind:
                raise ValueError(f"source {name}: the {self.reader} reader is for the format {other.name}")
        if task.kind.passages and self.reader != "squad":
            raise ValueError(f"source {name}: the squad reader and the format extractive-qa go together")
        if self.reader == "squad" and not task.kind.questions:
            fitting = " and ".join(one.name for one in kinds().values() if one.questions)
            raise ValueError(f"source {name}: the squad reader is for the formats {fitting}")
        folds = [f.fold for split in self.splits.values() for f in split]
        if self.reader in ("conll", "conllu", "squad", "text") and any(fold is not None and fold.by for fold in folds):
            raise ValueError(f"source {name}: the {self.reader} reader gives no column to fold by")
        if self.reader == "squad" and self.columns not in ({}, {"id": "id"}):
            raise ValueError(f"source {name}: columns of SQuAD's JSON are {{}}, or {{id: id}} where ids name questions")

    def _check_places(self, name: str) -> None:
        """Files whose columns have no names are read by position, others by name."""
        if self.reader == "squad":
            return
        positions = self.reader in ("conll", "conllu") or (self.reader == "tsv" and not self.header)
        for field, given in self.columns.items():
            for column in given if isinstance(given, tuple) else (given,):
                if isinstance(column, int) == positions:
                    continue
                if positions and isinstance(column, str) and _by_position(column) and self.reader == "tsv":
                    continue
                what = f"columns of the {self.reader} reader{' without `header: true`' * (self.reader == 'tsv')}"
                kind = "are positions, counted from 0" if positions else "have names"
                message = f"{what} {kind}: {field} cannot be {shown(column)}"
                raise SourceSettingError(("sources", name, "columns", field), message)


def _by_position(column: str) -> bool:
    """Whether a text is a template of positions, as "{0}: {1}"."""
    keys = re.findall(r"\{(\w+)\}", column)
    return bool(keys) and all(key.isdecimal() for key in keys)
