"""Sources of rows with columns, which `rows.Reading` makes examples of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adapterx.config.problems import did_you_mean
from adapterx.store.identity import JSON
from adapterx.tasks.sources.base import SourceSpec
from adapterx.tasks.sources.fields import Columns, Misplaced, Missing
from adapterx.wording import plain

if TYPE_CHECKING:
    from adapterx.tasks.spec import TaskSpec


class RowSource(SourceSpec):
    """A source whose settings say where each field of a task's format is found in a row."""

    if TYPE_CHECKING:  # each kind declares them among its own settings, in the order in which mistakes are told
        columns: Mapping[str, Columns]
        """Where each field of the format is found in a row; `id`, when given, names the item."""
        values: dict[str, dict[str, str]]
        """Replacements, per column or for `label`: what is written → what is meant."""
        misplaced: Misplaced
        missing: Missing
        splits: Mapping[Any, Any]

    @property
    def on_missing(self) -> Missing:
        """The setting `missing`."""
        return self.missing

    @property
    def leaves_out(self) -> bool:
        """Whether `missing` or `misplaced` drops rows."""
        return "drop" in (self.missing, self.misplaced)

    @property
    def names_items(self) -> bool:
        """Whether a column names the items."""
        return "id" in self.columns

    @property
    def lines_of_words(self) -> bool:
        """Whether a row has the number of each word's line under `conll.LINES`."""
        return False

    @property
    def fields_apart(self) -> frozenset[str]:
        """Fields of the format that stand apart from the rows, and so in no column."""
        return frozenset()

    def check(self, task: TaskSpec, name: str) -> None:
        """Refuse columns that the format has not, or lacks; and rules for answers where it has none."""
        self.check_columns(task, name)
        if self.misplaced != "refuse" and not task.kind.questions:
            raise ValueError(f"source {name}: misplaced is of answers, and the format {task.format} has none")
        if self.misplaced == "drop" and "test" in self.splits:
            raise ValueError(f"source {name}: misplaced: drop would leave out test items; 'nearest' keeps them")

    def check_columns(self, task: TaskSpec, name: str) -> None:
        """Refuse columns that are no fields of the task's format, and those that are lacking."""
        required, optional = task.kind.required, task.kind.optional
        known = {*required, *optional, "id"}
        if unknown := [field for field in self.columns if field not in known]:
            hint = did_you_mean(unknown[0], sorted(known))
            raise ValueError(f"source {name}: {task.format} has no field '{plain(unknown[0])}' ({hint})")
        if missing := [field for field in required if field not in self.columns and field not in self.fields_apart]:
            raise ValueError(f"source {name}: columns lacks '{missing[0]}'")

    def choices(self) -> dict[str, JSON]:
        """Settings that change which items there are, or what they say, at values other than their defaults."""
        found: dict[str, JSON] = {} if self.misplaced == "refuse" else {"misplaced": self.misplaced}
        return found | ({"missing": "drop"} if self.missing == "drop" else {})
