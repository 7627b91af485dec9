"""Where a task's examples come from, as its YAML says: made, in files here, on the Hub, or cut out of another task."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from adapterx import places
from adapterx.config.fields import LanguageCode, Model, Name, Strings, listed
from adapterx.errors import AdapterxError
from adapterx.tasks.examples import Split

Column = int | str
"""A position (tsv, conll), a key (jsonl), or a text with {keys} in it."""

Misplaced = Literal["refuse", "nearest", "drop"]
"""What becomes of an answer that does not stand where its `answer_start` says: an error; the occurrence nearest to it
(an error where there is none); or its question is left out, which is for training data."""

Missing = Literal["refuse", "drop", "keep"]
"""What becomes of a row that lacks a text, a word or a label: an error that names it; or it is left out and counted.
`keep` takes blank texts as they are, where published results count them; null and unknown labels are refused still."""


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else listed(value)


def _parts(value: Any) -> Any:
    """A bare split name stands for `{split: name}`."""
    return tuple({"split": one} if isinstance(one, str) else one for one in _listed_values(_several(value)))


def _listed_values(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _texts(value: Any) -> Any:
    """Numbers are compared as they are written."""
    return tuple(str(one) if isinstance(one, int) else one for one in _listed_values(value))


class Embedded(Model):
    """Examples made from CLDR data, without any file."""

    kind: Literal["embedded"]
    sizes: dict[Split, PositiveInt]
    """Examples per split, in every language the same items."""
    seed: int = 1
    """Another seed makes other examples of the same items; which items are for testing never changes."""


def _at_home(value: str) -> str:
    try:
        return os.fspath(places.expanded(value)) if value.startswith("~") else value
    except AdapterxError as error:
        raise ValueError(str(error)) from None


DataPath = Annotated[str, AfterValidator(_at_home)]
"""Seen from the data directory, unless it is absolute or begins with `~`."""
DataPaths = Annotated[Strings, AfterValidator(lambda paths: tuple(map(_at_home, paths)))]


class Fold(Model):
    """Every `of`-th row (of extractive QA, passage): those whose number, modulo `of`, is in `keep`."""

    of: Annotated[int, Field(ge=2)]
    keep: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    by: str | None = None
    """A column that ends in a number, to go by that in place of the row's: where languages lack rows, say."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        if any(not 0 <= remainder < self.of for remainder in self.keep):
            raise ValueError(f"keep lists remainders below {self.of}")
        return self


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


class Local(Model):
    """Examples read from files under the data directory."""

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
    splits: dict[Split, Annotated[tuple[Files, ...], Field(strict=False), BeforeValidator(_several)]]

    def files(self, language: str, split: str) -> Files | None:
        """The files of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((files for files in several if files.languages is None or language in files.languages), None)


class HubRows(Model):
    """The rows of one split in some languages, among the parquet files of a Hub dataset."""

    split: Annotated[str, Field(min_length=1)]
    """What the dataset calls it."""
    config: str | None = None
    """In place of the source's; {language} is replaced."""
    paths: Strings | None = None
    """Patterns of files in the repository, where it follows none of the usual layouts; the first that matches counts.
    {language}, {config} and {split} are replaced."""
    languages: Annotated[tuple[LanguageCode, ...] | None, Field(strict=False)] = None
    """The languages that have these rows: all of the task's when null."""
    where: dict[str, Annotated[Strings, BeforeValidator(_texts)]] = Field(default_factory=dict)
    """Rows to keep, by column: those whose value, as text, is one of these; a `*` at its end stands for any ending,
    {language} is replaced."""
    fold: Fold | None = None
    """Rows to keep, of all rows before `where`; all when null. Rows about one passage follow each other."""


class Hub(Model):
    """Examples read from parquet files of a dataset on the Hub; no code of a repository is ever run."""

    kind: Literal["hub"]
    dataset: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: Annotated[str, Field(min_length=1)] = "refs/convert/parquet"
    """A commit, or a branch, which means its commit of the moment: by default that of the Hub's own conversion."""
    config: str = "default"
    """{language} is replaced by the dataset's code for the language."""
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """The dataset's codes of languages, where they differ from the task's."""
    columns: dict[str, str | Annotated[tuple[str, ...], Field(strict=False)]]
    """Where each field of the format is found; `a.b` is field b of the struct a. `id`, when given, names the item.

    `answers` is a struct of two lists, `text` and `answer_start` (characters from the passage's beginning), both empty
    where the passage holds no answer; or a list of such pairs.
    """
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per column or for `label`: what is written (class labels: a number) → what is meant."""
    misplaced: Misplaced = "refuse"
    missing: Missing = "refuse"
    splits: dict[Split, Annotated[tuple[HubRows, ...], Field(strict=False), BeforeValidator(_parts)]]

    def rows(self, language: str, split: str) -> HubRows | None:
        """The rows of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((rows for rows in several if rows.languages is None or language in rows.languages), None)


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


class Search(Model):
    """Queries and candidates, each in files of their own."""

    kind: Literal["search"]
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """What {language} stands for, where it is not the task's code."""
    splits: dict[Split, Annotated[tuple[Sides, ...], Field(strict=False), BeforeValidator(_several)]]

    def sides(self, language: str, split: str) -> Sides | None:
        """The files of a split in a language, None where there are none."""
        several = self.splits.get(split, ())  # type: ignore[call-overload]
        return next((sides for sides in several if sides.languages is None or language in sides.languages), None)


class Sentences(Model):
    """Questions of an extractive QA task, to find the sentences that hold their answers among all sentences."""

    kind: Literal["sentences"]
    task: Name
    """Of the catalog."""
    source: str
    """Which of its sources."""


Source = Annotated[Embedded | Local | Hub | Search | Sentences, Field(discriminator="kind")]
