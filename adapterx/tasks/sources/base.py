"""What every kind of source answers, for specs, plans, readers and comparisons alike; needs no torch.

A kind of source is a module or a folder here and a line of `registry.py`; one of another package is an entry point of
the group `adapterx.sources` that names a subclass of `SourceSpec`. Its settings are what a task's YAML says under
`sources`; its methods are all that the rest asks. `entries`, `digest` and `split_names` are what a kind must have;
the other answers have defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from adapterx.config.fields import Model
from adapterx.store.identity import JSON
from adapterx.tasks.examples import Split

if TYPE_CHECKING:
    from adapterx.tasks.sources.entry import Entry
    from adapterx.tasks.sources.fields import Fold, Missing
    from adapterx.tasks.spec import TaskSpec


class SourceSettingError(ValueError):
    """What is wrong with one setting of a task, and where it stands in its YAML."""

    def __init__(self, location: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


class SourceSpec(Model):
    """One source of a task's examples, by the name of its kind. Defaults here are what is true of most kinds.

    Methods are asked of languages that the task has, and raise AdapterxError, naming the file or the data set, where it
    cannot be read.
    """

    kind: str
    generated: ClassVar[bool] = False
    """Whether items are made from patterns, whose words recur, in the languages and splits that its settings name."""
    remote: ClassVar[bool] = False
    """Whether data may have to be downloaded before they are read (`at_hand`, `fetch`)."""
    counted_by_reading: ClassVar[bool] = False
    """Whether rows are here, and are all read for a number of examples that `size` does not tell."""
    same_rows: ClassVar[str] = "the same published rows"
    """What two tasks have in common, for messages, where both read the same of `published`."""

    @property
    def in_words(self) -> str:
        """Where the examples come from, for the page of all tasks."""
        return f"of the kind {self.kind}"

    @property
    def hub_dataset(self) -> str:
        """The id of the dataset on the Hub that the examples are read from; empty of others."""
        return ""

    @property
    def split_names(self) -> tuple[Split, ...] | None:
        """The splits that there are; None where they are those of the task that it is made of."""
        raise NotImplementedError

    @property
    def own_languages(self) -> tuple[str, ...]:
        """A language of each split that some of the task's languages have no part in."""
        return ()

    @property
    def made_of(self) -> tuple[str, str] | None:
        """The task of the catalog, and its source, of whose items these examples are made; None of no other's."""
        return None

    @property
    def on_missing(self) -> Missing:
        """What becomes of a row that lacks a text, a word or a label."""
        return "refuse"

    @property
    def leaves_out(self) -> bool:
        """Whether some rows may be left out, so that only reading them all tells how many there are."""
        return False

    @property
    def names_items(self) -> bool:
        """Whether items bear ids that whoever published them gave, by which other tasks' items are recognised."""
        return False

    def check_format(self, task: TaskSpec, name: str) -> None:
        """Refuse a task whose format it gives no examples of.

        Args:
            name: what the task calls this source.

        Raises ValueError.
        """

    def check(self, task: TaskSpec, name: str) -> None:
        """Refuse settings that do not fit the task.

        Args:
            name: what the task calls this source.

        Raises ValueError, or SourceSettingError for a setting with a place of its own.
        """

    def entries(self, task: TaskSpec, language: str, split: Split) -> Iterator[Entry]:
        """Every example of a split in a language, always in the same order, or why a row is left out.

        None where there is no such split.
        """
        raise NotImplementedError

    def digest(self, task: TaskSpec, splits: Mapping[Split, Sequence[str]]) -> dict[str, JSON]:
        """What decides the examples of these languages of these splits, without making them.

        It enters ids: equal digests, equal examples. Of a package's own kind, the package's name and version are added.
        """
        raise NotImplementedError

    def holds_nothing(self, language: str, split: Split) -> bool:
        """Whether the files of a split are there and have no row, so that they need not be read."""
        return False

    def size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """How many examples a split has, of retrieval queries, without making them; 0 where there is no such split.

        None where only reading it would tell.
        """
        return None

    def known_size(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """The same without asking the network; None where it is not known. Raises MissingData for missing files."""
        return self.size(task, language, split)

    def texts(self, task: TaskSpec, language: str, split: Split) -> int | None:
        """How many texts a search reads, queries and candidates together; None where only reading them would tell."""
        queries = self.size(task, language, split)
        return None if queries is None else 2 * queries

    def paths(self, language: str, split: Split) -> list[Path]:
        """The files here that say how many examples there are; none of what comes from elsewhere."""
        return []

    def origin(self, language: str, split: Split) -> str:
        """The files, or the data set, that a split comes from, for messages; empty where there is no such split."""
        return ", ".join(map(str, self.paths(language, split)))

    def at_hand(self, language: str, split: Split) -> bool:
        """Whether a split can be read without the network."""
        return True

    def fetch(self, language: str, split: Split) -> None:
        """Download what reading a split would download. Raises AdapterxError where it cannot be had."""

    def read_ahead(self, language: str, split: Split) -> bool:
        """Whether a plan reads every row of a split, to tell what is wrong with it before anything is trained."""
        return self.at_hand(language, split)

    def published(self, languages: Sequence[str], split: Split) -> Mapping[tuple[str, ...], Fold | None]:
        """Names of published rows that a split reads, and which of them; another task may read them by the same name.

        The first part of a name is the kind of source.
        """
        return {}
