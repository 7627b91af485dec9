"""Everything a report states, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adapterx.report.collect import Results, collect
from adapterx.report.gaps import Change, Gap, Overall, changes, ends, gaps, overall
from adapterx.report.scores import CellScore, Grid, Score
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
    xtreme: tuple[Averages, ...] = ()
    """Empty unless targets are tasks of XTREME's."""


def analyse(store: Store, run_dir: Path) -> Analysis:
    """Collect a run's results and compute its statistics; errors as `run.read`."""
    results = collect(store, run_dir)
    grid = Grid(results, results.run.resamples)
    found, between = gaps(grid), ends(grid)
    return Analysis(
        results=results,
        cells=grid.cell_scores(),
        scores=grid.scores(),
        gaps=found,
        ends=between,
        changes=changes(found, between),
        overall=overall(found, between),
        xtreme=averages(grid),
    )
