"""Sources of data sets that others publish, which have names of their own for languages and splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapterx.tasks.examples import Split
from adapterx.tasks.sources.fields import first_languages
from adapterx.tasks.sources.row_source import RowSource


class PublishedSource(RowSource):
    """A source of rows by split and language, in the dataset's own words."""

    if TYPE_CHECKING:  # each kind declares it among its own settings, in the order in which mistakes are told
        codes: dict[str, str]
        """The dataset's codes of languages, where they differ from the task's."""

    @property
    def split_names(self) -> tuple[Split, ...]:
        """The splits that have rows."""
        return tuple(self.splits)

    @property
    def own_languages(self) -> tuple[str, ...]:
        """The first language of each set of rows that is for some languages alone."""
        return first_languages(self.splits)

    def code(self, language: str) -> str:
        """What the dataset calls a language."""
        return self.codes.get(language, language)
