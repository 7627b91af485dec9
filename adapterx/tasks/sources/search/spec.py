"""What a task's YAML says of queries and candidates in files, and what the rest asks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from adapterx.config.fields import LanguageCode, Model
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.sources.entry import Entry
from adapterx.tasks.sources.fields import Column, DataPath, DataPaths, first_languages, part, several
from adapterx.tasks.sources.search import read

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec


class Texts(Model):
    """Texts of one language, from `.jsonl` files or, under any other name, tab-separated ones; `.gz` is unpacked."""

    paths: DataPaths
    """Relative to the data directory, read one after another; {language} is replaced, * stands for any part of a
    name."""
    text: Column
    """Where a text is found in a row: a position, a key, or a text with {keys} in it."""
    id: Column | None = None
    """What names it; its row when null."""


class Sides(Model):
    """What is searched for and among what, of one split in some languages."""

    queries: Texts
    candidates: Texts
    relevant: DataPath | None = None
    """A file of pairs of ids, query and candidate, tab-separated; or judgements as TREC writes them (query, 0,
    candidate, relevance). Where null, a query's candidate stands in the same row."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these files: all of the task's when null."""


class SearchSource(SourceSpec):
    """Queries and candidates, each in files of their own."""

    kind: Literal["search"]
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """What {language} stands for, where it is not the task's code."""
    splits: dict[Split, Annotated[tuple[Sides, ...], Field(strict=False), BeforeValidator(several)]]

    @property
    def in_words(self) -> str:
        """Files, as of any other source that reads them."""
        return "files"

    @property
    def split_names(self) -> tuple[Split, ...]:
        """The splits that have files."""
        return tuple(self.splits)

    @property
    def own_languages(self) -> tuple[str, ...]:
        """The first language of each pair of sides that is for some languages alone."""
        return first_languages(self.splits)

    def sides(self, language: str, split: Split) -> Sides | None:
        """The files of a split in a language, None where there are none."""
        return part(self.splits, language, split)

    def check_format(self, task: TaskSpec, name: str) -> None:
        """Refuse tasks that search for nothing."""
        if not task.kind.searched:
            raise ValueError(f"source {name}: the kind {self.kind} and the format retrieval go together")

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """The queries, then the candidates."""
        return read.stream(task, self, language, split)

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """How each side is read, and the SHA-256 of its files."""
        return {
            "splits": {
                split: {language: read.digest(self, language, split) for language in languages}
                for split, languages in splits.items()
            }
        }

    def size(self, task: TaskSpec, language: str, split: Split) -> int:
        """Queries, of a ranking those with something to find."""
        return read.size(task, self, language, split)

    def texts(self, task: TaskSpec, language: str, split: Split) -> int:
        """Rows of both sides."""
        return read.texts(self, language, split)

    def paths(self, language: str, split: Split) -> list[Path]:
        """The files that say how many queries there are: of the queries, and of what is relevant to them."""
        sides = self.sides(language, split)
        return [] if sides is None else read.files(sides, self.codes.get(language, language))
