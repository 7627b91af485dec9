"""Everything a report states, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapterx.plan.cells import Cell
from adapterx.report.collect import Results, collect
from adapterx.report.evidence import Evidence, evidence
from adapterx.report.gaps import Gap, gaps
from adapterx.report.learning import Judgement, Remark, judge, remarks
from adapterx.report.levels import Level, levels
from adapterx.report.overall import Overall, overall
from adapterx.report.scores import CellScore, Grid, Score, Setting, setting
from adapterx.report.separation import Separation, separation
from adapterx.report.xtreme import Averages, averages
from adapterx.store import Store


@dataclass(frozen=True)
class Analysis:
    """Results with what was computed from them."""

    results: Results
    cells: tuple[CellScore, ...]
    scores: tuple[Score, ...]
    gaps: tuple[Gap, ...]
    levels: tuple[Level, ...]
    """Sizes of the backbones that are compared."""
    overall: Overall | None
    """None where the recipe compares nothing."""
    judgements: Mapping[Cell, Judgement] = field(default_factory=dict)
    """Of every evaluated cell, whether its answers say anything."""
    remarks: tuple[Remark, ...] = ()
    """What to know before trusting a score."""
    xtreme: tuple[Averages, ...] = ()
    """Empty unless targets are tasks of XTREME's."""
    evidence: Evidence | None = None
    """Ranks, variances, maps, languages, costs, and what others have published."""

    separation: Separation | None = None
    """What the gap is made of, where the recipe has arms for it."""

    @property
    def sized(self) -> bool:
        """Whether backbones of several sizes are compared."""
        return len(self.levels) > 1

    def judged(self, of: Setting) -> list[Judgement]:
        """The judgements of a setting's cells."""
        return [one for cell, one in self.judgements.items() if setting(cell) == of]


def analyse(store: Store, run_dir: Path) -> Analysis:
    """Collect a run's results and compute its statistics; errors as `run.read`."""
    return statistics(collect(store, run_dir))


def statistics(results: Results) -> Analysis:
    """Compute the statistics of a run's results."""
    grid = Grid(results)
    found, judgements = gaps(grid), judge(grid)
    known = results.run.backbones
    scores = grid.scores()
    sizes = levels(known[name] for name in dict.fromkeys(gap.arm.backbone for gap in found) if name in known)
    return Analysis(
        results=results,
        cells=grid.cell_scores(),
        scores=scores,
        gaps=found,
        levels=sizes,
        overall=overall(grid, found, sizes),
        judgements=judgements,
        remarks=remarks(results, judgements),
        xtreme=averages(grid),
        evidence=evidence(grid, scores, found),
        separation=separation(grid, sizes),
    )
