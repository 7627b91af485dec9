"""What a task's YAML says of a dataset on the Hub, and what the rest asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field

from adapterx.config.fields import LanguageCode, Strings
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split
from adapterx.tasks.sources.base import SourceSettingError
from adapterx.tasks.sources.entry import Entry
from adapterx.tasks.sources.fields import Fold, Misplaced, Missing, part
from adapterx.tasks.sources.hub import read
from adapterx.tasks.sources.hub.formats import Reader
from adapterx.tasks.sources.published import PublishedSource
from adapterx.tasks.sources.selection import PublishedRows, parts

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec


class HubRows(PublishedRows):
    """The rows of one split in some languages, among the files of a Hub dataset."""

    paths: Strings | None = None
    """Patterns of files in the repository, where it follows none of the usual layouts; the first that matches counts.
    {language}, {config} and {split} are replaced."""


class HubSource(PublishedSource):
    """Examples read from files of a dataset on the Hub; no code of a repository is ever run."""

    remote: ClassVar[bool] = True
    same_rows: ClassVar[str] = "the same files on the Hub"

    kind: Literal["hub"]
    dataset: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: Annotated[str, Field(min_length=1)] = "refs/convert/parquet"
    """A commit, or a branch, which means its commit of the moment: by default that of the Hub's own conversion."""
    config: str = "default"
    """{language} is replaced by the dataset's code for the language."""
    codes: dict[LanguageCode, str] = Field(default_factory=dict)
    """The dataset's codes of languages, where they differ from the task's."""
    reader: Reader | None = None
    """How the files are read, where their names do not tell: those that `paths` names."""
    quotes: bool = True
    """Whether a cell of a tsv file may stand in quotation marks, which are then no part of it, as in a csv file."""
    columns: dict[str, str | Annotated[tuple[str, ...], Field(strict=False)]]
    """Where each field of the format is found; `a.b` is field b of the struct a. `id`, when given, names the item.

    `answers` is a struct of two lists, `text` and `answer_start` (characters from the passage's beginning), both empty
    where the passage holds no answer; or a list of such pairs.
    """
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Replacements, per column or for `label`: what is written (class labels: a number) → what is meant."""
    misplaced: Misplaced = "refuse"
    missing: Missing = "refuse"
    splits: dict[Split, Annotated[tuple[HubRows, ...], Field(strict=False), BeforeValidator(parts)]]

    @property
    def in_words(self) -> str:
        """The dataset's name."""
        return f"`{self.dataset}` on the Hub"

    @property
    def hub_dataset(self) -> str:
        """Its id."""
        return self.dataset

    def check(self, task: TaskSpec, name: str) -> None:
        """Refuse a reader without the files that it reads, beside what is refused of all rows."""
        super().check(task, name)
        if self.reader is not None and any(rows.paths is None for split in self.splits.values() for rows in split):
            raise SourceSettingError(
                ("sources", name, "reader"), "reader goes with paths in every split: other names tell how they are read"
            )

    def rows(self, language: str, split: Split) -> HubRows | None:
        """The rows of a split in a language, None where there are none."""
        return part(self.splits, language, split)

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """The examples of the files' rows; of retrieval, what stands side by side is the query and its candidate."""
        return iter(task.kind.side_by_side(read.stream(task, self, language, split)))

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """How rows are read, the names of the files' content, and which rows are kept."""
        reading = self.model_dump(mode="json", include={"columns", "values"}) | self.choices()
        return {
            "hub": cast(JSON, reading),
            "splits": {
                split: {language: read.digest(self, language, split) for language in languages}
                for split, languages in splits.items()
            },
        }

    def size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """Rows by the files' metadata; None where rows are chosen by what they say, or left out."""
        return read.size(self, language, split)

    def known_size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """The same by what was asked of the Hub before."""
        return read.known_size(self, language, split)

    def origin(self, language: str, split: Split) -> str:
        """The dataset's name, whatever its files are called."""
        return "" if self.rows(language, split) is None else f"{self.dataset} on the Hub"

    def at_hand(self, language: str, split: Split) -> bool:
        """Whether the split's files lie in the Hub's cache."""
        return read.at_hand(self, language, split)

    def fetch(self, language: str, split: Split) -> None:
        """Download the split's files."""
        read.fetch(self, language, split)

    def read_ahead(self, language: str, split: Split) -> bool:
        """Whether some rows are left out, which only reading tells, and the files are here."""
        return self.leaves_out and self.at_hand(language, split)

    def published(self, languages: Sequence[str], split: Split) -> Mapping[tuple[str, ...], Fold | None]:
        """Dataset, configuration and split there."""
        found: dict[tuple[str, ...], Fold | None] = {}
        for language in languages:
            if (rows := self.rows(language, split)) is not None:
                code = self.code(language)
                names = (self.dataset, rows.config or self.config, rows.split)
                found[self.kind, *(name.replace("{language}", code) for name in names)] = rows.fold
        return found
