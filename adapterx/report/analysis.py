"""Everything a report states, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapterx.plan.cells import Cell
from adapterx.report.collect import Results, collect
from adapterx.report.gaps import Change, Gap, Overall, changes, ends, gaps, overall
from adapterx.report.learning import Judgement, Remark, judge, remarks
from adapterx.report.scores import CellScore, Grid, Score, Setting, setting
from adapterx.report.xtreme import Averages, averages
from adapterx.store import Store


@dataclass(frozen=True)
class Analysis:
    """Results with what was computed from them."""

    results: Results
    cells: tuple[CellScore, ...]
    scores: tuple[Score, ...]
    gaps: tuple[Gap, ...]
    ends: tuple[str, str] | None
    """Smallest and largest backbone, where two differ in size."""
    changes: tuple[Change, ...]
    overall: Overall | None
    """None where the recipe compares nothing."""
    judgements: Mapping[Cell, Judgement] = field(default_factory=dict)
    """Of every evaluated cell, whether its answers say anything."""
    remarks: tuple[Remark, ...] = ()
    """What to know before trusting a score."""
    xtreme: tuple[Averages, ...] = ()
    """Empty unless targets are tasks of XTREME's."""

    def judged(self, of: Setting) -> list[Judgement]:
        """The judgements of a setting's cells."""
        return [one for cell, one in self.judgements.items() if setting(cell) == of]


def analyse(store: Store, run_dir: Path) -> Analysis:
    """Collect a run's results and compute its statistics; errors as `run.read`."""
    results = collect(store, run_dir)
    grid = Grid(results, results.run.resamples)
    found, between, judgements = gaps(grid), ends(grid), judge(grid)
    return Analysis(
        results=results,
        cells=grid.cell_scores(),
        scores=grid.scores(),
        gaps=found,
        ends=between,
        changes=changes(found, between),
        overall=overall(found, between),
        judgements=judgements,
        remarks=remarks(results, judgements),
        xtreme=averages(grid),
    )
