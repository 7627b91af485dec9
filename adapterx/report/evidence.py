"""What a referee asks for beside scores and gaps, as one value: ranks, variances, maps, languages, costs and more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.report.costs import Efficiency, GridCost, cost, efficiencies
from adapterx.report.gaps import Gap
from adapterx.report.maps import Maps, maps
from adapterx.report.published import Corpus, Published, corpus, published
from adapterx.report.ranks import Rank, ranks
from adapterx.report.scores import Grid, Score
from adapterx.report.statistics import Quantity
from adapterx.report.variance import ScatterParts, parts


@dataclass(frozen=True)
class StripEntry:
    """One language of a gap."""

    language: str
    share: float
    """Of the text that the backbone was pretrained on."""
    gap: Quantity
    source: bool
    """Whether the target was trained in it."""

    @property
    def seen(self) -> bool:
        """Whether the backbone has read the language."""
        return self.share > 0


@dataclass(frozen=True)
class LanguageStrip:
    """A gap in every language, the one that the backbone has read most of first."""

    gap: Gap
    corpus: Corpus
    entries: tuple[StripEntry, ...]


@dataclass(frozen=True)
class Evidence:
    """All of it."""

    ranks: tuple[Rank, ...]
    variances: tuple[ScatterParts, ...]
    maps: Maps
    strips: tuple[LanguageStrip, ...]
    """Of gaps with backbones whose pretraining corpus is known."""
    cost: GridCost
    efficiencies: tuple[Efficiency, ...]
    published: tuple[Published, ...]


def evidence(grid: Grid, scores: Sequence[Score], gaps: Sequence[Gap]) -> Evidence:
    """Compute it from a grid, its scores and its gaps."""
    spent = cost(grid.results)
    return Evidence(
        ranks=ranks(grid),
        variances=parts(grid, gaps),
        maps=maps(grid),
        strips=tuple(strip for gap in gaps if (strip := _strip(grid, gap)) is not None),
        cost=spent,
        efficiencies=efficiencies(scores, spent),
        published=published(grid.results),
    )


def _strip(grid: Grid, gap: Gap) -> LanguageStrip | None:
    backbone, facts = grid.results.run.backbones.get(gap.arm.backbone), grid.results.targets.get(gap.arm.target)
    found = corpus(backbone.architecture) if backbone is not None else None
    if found is None or facts is None or not gap.summary.languages:
        return None
    entries = [
        StripEntry(code, found.share(code), quantity, code in facts.sources)
        for code, quantity in gap.summary.languages.items()
    ]
    return LanguageStrip(gap, found, tuple(sorted(entries, key=lambda one: (-one.share, one.language))))
