"""The report as a value: every text, table and figure, before any file format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapterx.report import (
    answer,
    arm_tables,
    evidence_tables,
    merge_weights,
    provenance,
    tables,
    tuning,
    wording,
    xtreme_table,
)
from adapterx.report.analysis import Analysis
from adapterx.report.cell_details import cell_details
from adapterx.report.cell_table import cell_table
from adapterx.report.collect import Results
from adapterx.report.curve_figure import curve_figures
from adapterx.report.drawing import Figure
from adapterx.report.efficiency_figure import efficiency_figures
from adapterx.report.gap_figure import gap_figure
from adapterx.report.numbers import count, duration
from adapterx.report.table import Table
from adapterx.report.texts import TargetTexts
from adapterx.store import JSON


@dataclass(frozen=True)
class Document:
    """The parts in the order of the page."""

    title: str
    description: str
    facts: tuple[str, ...]
    question: str
    answer: str
    scope: str
    remarks: tuple[tuple[str, str], ...]
    """What to know before trusting a score: about what, and what."""
    gap_figure: Figure | None
    changes: Table | None
    gaps: Table | None
    arms: list[Table]
    """What the arms learn, and what their gap is made of."""
    by_language: list[Table]
    results: list[Table]
    score_note: str
    xtreme: Table | None
    evidence: list[Table]
    """Ranks, variances, maps, languages, costs, and what others have published."""
    prices: list[Figure]
    """Scores against costs."""
    unfinished: Table | None
    cells: str
    tuning: list[Table]
    """Empty where every learning rate and merge weight was given."""
    curves: list[Figure]
    method: tuple[str, ...]
    shared_items: tuple[str, ...]
    """What training and test data have in common, one sentence each."""
    languages: str
    provenance: list[Table]
    recipe: str
    overrides: tuple[str, ...]
    cell_table: Table
    details: Mapping[str, JSON]
    """Of every cell, for the page's script."""


def document(analysis: Analysis, texts: Mapping[str, TargetTexts] | None = None) -> Document:
    """Lay out an analysis.

    Args:
        texts: of the items that are shown, by target; without them answers stand beside ids.
    """
    results, run = analysis.results, analysis.results.run
    codes = sorted({code for facts in results.targets.values() for code in facts.languages})
    tuned, weighed = tuning.tuned(results), merge_weights.weighed(results)
    return Document(
        title=run.name,
        description=run.description,
        facts=_facts(analysis),
        question=answer.question(analysis),
        answer=answer.answer(analysis),
        scope=wording.scope(analysis),
        remarks=(*arm_tables.remarks(analysis), *((one.about, one.text) for one in analysis.remarks)),
        gap_figure=gap_figure(analysis),
        changes=tables.changes(analysis),
        gaps=tables.gaps(analysis),
        arms=arm_tables.tables(analysis),
        by_language=tables.by_language(analysis),
        results=tables.results(analysis),
        score_note=tables.score_note(analysis),
        xtreme=xtreme_table.table(analysis.xtreme, run.limit),
        evidence=evidence_tables.tables(analysis),
        prices=efficiency_figures(analysis),
        unfinished=tables.unfinished(results),
        cells=count(len(results.cells), "cell"),
        tuning=[one for one in (tuning.table(tuned, run), merge_weights.table(weighed, run)) if one is not None],
        curves=curve_figures(analysis),
        method=(*wording.method(analysis), *tuning.method(tuned), *merge_weights.method(weighed), *_left_out(results)),
        shared_items=run.remarks,
        languages=", ".join(f"{tables.language_name(code)} ({code})" for code in codes),
        provenance=provenance.tables(analysis),
        recipe=provenance.recipe(run),
        overrides=run.overrides,
        cell_table=cell_table(analysis),
        details=cell_details(analysis, texts or {}),
    )


def _facts(analysis: Analysis) -> tuple[str, ...]:
    cells, run = analysis.results.cells, analysis.results.run
    done = sum(one.status == "done" for one in cells)
    languages = {code for facts in analysis.results.targets.values() for code in facts.languages}
    return (
        f"{done} of {count(len(cells), 'cell')} done",
        count(len(run.backbones), "backbone"),
        count(len({one.cell.target for one in cells}), "target"),
        count(len({one.cell.seed for one in cells}), "seed"),
        count(len(languages), "language"),
        duration(provenance.seconds(analysis.results.stages.values())),
    )


def _left_out(results: Results) -> tuple[str, ...]:
    """Which trainings have no curve though they were stored with one."""
    if not results.curveless:
        return ()
    names = ", ".join(f"{ref.kind} {ref.label}" for ref in results.curveless)
    return (f"The log of losses has been damaged since it was stored, so a curve is left out, of {names}.",)
