"""What a task's YAML says of data that the `datasets` library reads, and what the rest asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field

from adapterx.config.fields import LanguageCode
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources.base import SourceSettingError
from adapterx.tasks.sources.datasets import read
from adapterx.tasks.sources.datasets.library import Builder
from adapterx.tasks.sources.entry import Entry
from adapterx.tasks.sources.fields import DataPath, DataPaths, Fold, Misplaced, Missing, part
from adapterx.tasks.sources.published import PublishedSource
from adapterx.tasks.sources.selection import PublishedRows, parts

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec

_MAIN = "main"


class DatasetsRows(PublishedRows):
    """The rows of one split in some languages."""

    split: str = ""
    """What the dataset calls it; none of files that are given to a builder."""
    paths: DataPaths | None = None
    """The files that a builder reads, relative to the data directory; {language} is replaced."""


class DatasetsSource(PublishedSource):
    """Examples of what `load_dataset` or `load_from_disk` reads without running code of a dataset."""

    remote: ClassVar[bool] = True
    same_rows: ClassVar[str] = "the same split on the Hub"

    kind: Literal["datasets"]
    dataset: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] | None = None
    """A dataset's id on the Hub."""
    revision: Annotated[str, Field(min_length=1)] = _MAIN
    """Of a dataset on the Hub: a commit, or a branch, which means its commit of the moment."""
    directory: DataPath | None = None
    """Under the data directory: what `save_to_disk` wrote, or a folder of data files; {language} is replaced."""
    builder: Builder | None = None
    """The library's own builder that reads the `paths` of each split."""
    config: str | None = None
    """The dataset's default one when null; {language} is replaced by the dataset's code for the language."""
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """The dataset's codes of languages, where they differ from the task's."""
    columns: dict[str, str | Annotated[tuple[str, ...], Field(strict=False)]]
    """Where each field of the format is found; `a.b` is field b of the struct a. `id`, when given, names the item."""
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per column or for `label`: what is written, of class labels the name → what is meant."""
    misplaced: Misplaced = "refuse"
    missing: Missing = "refuse"
    splits: dict[Split, Annotated[tuple[DatasetsRows, ...], Field(strict=False), BeforeValidator(parts)]]

    @property
    def in_words(self) -> str:
        """The dataset's name; else files."""
        return "files" if self.dataset is None else f"`{self.dataset}` on the Hub"

    @property
    def hub_dataset(self) -> str:
        """Its id."""
        return self.dataset or ""

    def check(self, task: TaskSpec, name: str) -> None:
        """Refuse settings that do not go together, beside what is refused of all rows."""
        super().check(task, name)
        if [self.dataset, self.directory, self.builder].count(None) != 2:
            raise ValueError(f"source {name}: say one of dataset (on the Hub), directory, and builder (with paths)")
        if self.dataset is None and self.revision != _MAIN:
            raise SourceSettingError(("sources", name, "revision"), "only a dataset on the Hub has revisions")
        for split, several in self.splits.items():
            for number, rows in enumerate(several):
                if wrong := self._wrong(rows):
                    raise SourceSettingError(("sources", name, "splits", split, number), wrong)

    def _wrong(self, rows: DatasetsRows) -> str:
        """What does not fit in the rows of a split; empty where all does."""
        if (self.builder is None) != (rows.paths is None):
            return "paths are what a builder reads, and it needs them in every split"
        if self.builder is not None:
            named = rows.split or rows.config or self.config
            return "files that a builder reads have neither configurations nor splits of their own" if named else ""
        if not re.fullmatch(r"[\w.-]+", rows.split.replace("{language}", "")):
            return "split should be the name of a split of the dataset; `fold` takes a part of its rows"
        return ""

    def rows(self, language: str, split: Split) -> DatasetsRows | None:
        """The rows of a split in a language, None where there are none."""
        return part(self.splits, language, split)

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """The examples of the rows; of retrieval, what stands side by side is the query and its candidate."""
        return iter(task.kind.side_by_side(read.stream(task, self, language, split)))

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """How rows are read, what names their content, and which rows are kept."""
        reading = self.model_dump(mode="json", include={"columns", "values"}) | self.choices()
        return {
            "datasets": cast(JSON, reading),
            "splits": {
                split: {language: read.digest(self, language, split) for language in languages}
                for split, languages in splits.items()
            },
        }

    def size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """Rows, as prepared files are counted; None of what is not downloaded, or chosen by what rows say."""
        rows = self.rows(language, split)
        if rows is None:
            return 0
        found = read.known(self, rows, language) if self.dataset else read.table(self, rows, language)
        return None if found is None else rows.counted(self, found.count())

    def paths(self, language: str, split: Split) -> list[Path]:
        """The files here; none of a dataset on the Hub."""
        rows = self.rows(language, split)
        return [] if rows is None or self.dataset is not None else read.files(self, rows, language)

    def origin(self, language: str, split: Split) -> str:
        """The dataset's name, the directory, or the files."""
        rows = self.rows(language, split)
        if rows is None or self.builder is not None:
            return super().origin(language, split)
        return f"{self.dataset} on the Hub" if self.dataset else str(read.directory(self, language))

    def at_hand(self, language: str, split: Split) -> bool:
        """Whether a split is prepared, or here."""
        rows = self.rows(language, split)
        return rows is None or self.dataset is None or read.known(self, rows, language) is not None

    def fetch(self, language: str, split: Split) -> None:
        """Have the split prepared, with all others of its configuration."""
        if (rows := self.rows(language, split)) is not None:
            read.table(self, rows, language)

    def read_ahead(self, language: str, split: Split) -> bool:
        """Of files here; of the Hub where some rows are left out, which only reading tells, and they are here."""
        return self.dataset is None or (self.leaves_out and self.at_hand(language, split))

    def published(self, languages: Sequence[str], split: Split) -> Mapping[tuple[str, ...], Fold | None]:
        """Dataset, configuration and split on the Hub, under the names that sources of the kind hub give them."""
        found: dict[tuple[str, ...], Fold | None] = {}
        for language in languages if self.dataset else ():
            if (rows := self.rows(language, split)) is not None:
                names = (self.dataset or "", rows.config or self.config or "default", rows.split)
                found["hub", *(name.replace("{language}", self.code(language)) for name in names)] = rows.fold
        return found
