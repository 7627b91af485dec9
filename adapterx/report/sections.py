"""The sections of a report, in their order. A new one is one line here: its title, its tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adapterx.report.document import Document
from adapterx.report.drawing import Figure
from adapterx.report.table import Table

Part = Table | Figure


@dataclass(frozen=True)
class Section:
    """One section; of no parts and no words there is none."""

    name: str
    """Its anchor on the page."""
    title: str
    parts: tuple[Part, ...]
    intro: str = ""
    """Said before its parts."""
    empty: str = ""
    """Said where it has none."""
    in_markdown: bool = True
    """Whether report.md has it too; what only a page can show it has not."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables, without those of figures."""
        return tuple(one for one in self.parts if isinstance(one, Table))


def sections(of: Document) -> Iterator[Section]:
    """Everything between the answer and the method."""
    found = (
        Section("the-gap", "The gap", _there(of.gap_figure, of.changes, of.gaps)),
        Section("arms", "The arms", _there(*of.arms)),
        Section("languages", "The gap in every language", _there(*of.by_language)),
        Section("scores", "Scores", _there(*of.results), of.score_note if of.results else "", "No cell has a score."),
        Section("xtreme", "XTREME", _there(of.xtreme)),
        Section("evidence", "Evidence", _there(*of.evidence)),
        Section("prices", "Scores against costs", _there(*of.prices), in_markdown=False),
        Section("all-cells", "Cells", _there(of.cell_table), in_markdown=False),
        Section("failed", "Failed cells", _there(of.unfinished), empty=f"None: all {of.cells} finished."),
        Section("tuning", "Tuning", _there(*of.tuning)),
        Section("training", "Training", _there(*of.curves), empty="No training is stored.", in_markdown=False),
    )
    yield from (one for one in found if one.parts or one.empty)


def _there(*parts: Part | None) -> tuple[Part, ...]:
    return tuple(one for one in _given(parts) if not isinstance(one, Table) or one.rows)


def _given(parts: Iterable[Part | None]) -> Iterator[Part]:
    yield from (one for one in parts if one is not None)
