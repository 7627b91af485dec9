"""Scores of settings: means over seeds and languages, each with its interval or with what is missing.

Nothing is computed over fewer seeds or languages than the run asked for: such a value is `Missing`, with the count.
A collapsed cell (one that answers alike everywhere) has scores of its own but no part in a mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, Results, TargetFacts
from adapterx.report.statistics import Array, Drawn, Estimate, Missing, Quantity, Resampler, generator, seed_weights

ByLanguage = Mapping[str, Drawn]


@dataclass(frozen=True)
class Setting:
    """A row of the tables: a cell without its seed."""

    backbone: str
    method: str
    intermediate: str
    transfer: str
    target: str


@dataclass(frozen=True)
class CellScore:
    """One cell, language and metric, with the interval over items."""

    result: CellResult
    language: str
    metric: str
    estimate: Estimate
    items: int


@dataclass(frozen=True)
class Summary:
    """A quantity per language and its means over languages."""

    languages: Mapping[str, Quantity]
    mean: Quantity
    """Over all languages."""
    sources: Quantity | None
    """Over the languages the target was trained in; None where there are none."""
    others: Quantity | None
    """Over the languages the target was not trained in; None where there are none."""
    drawn: Drawn | None
    """Behind `headline`, where that is not missing."""

    @property
    def headline(self) -> Quantity:
        """The mean over other languages, or over all where there are no others."""
        return self.mean if self.others is None else self.others


@dataclass(frozen=True)
class Score:
    """A setting's scores, means over its seeds."""

    setting: Setting
    metric: str
    statuses: Mapping[str, int]
    summary: Summary
    seed_range: tuple[float, float] | None
    """Lowest and highest headline score among several seeds."""


class Grid:
    """The cells of a run by setting, and the resamples of each."""

    def __init__(self, results: Results, resamples: int) -> None:
        self.results = results
        self.resamples = resamples
        self.settings: dict[Setting, list[CellResult]] = {}
        for result in results.cells:
            self.settings.setdefault(setting(result.cell), []).append(result)
        for cells in self.settings.values():
            cells.sort(key=lambda result: result.cell.seed)
        self._drawn: dict[tuple[Cell, str], ByLanguage] = {}
        for facts in results.targets.values():
            resampler = Resampler(facts, resamples)
            for result in results.cells:
                if result.cell.target == facts.name and result.scores is not None:
                    for metric in result.scores.metrics:
                        self._drawn[result.cell, metric.name] = resampler.score(result.scores, metric)

    def metrics(self, target: str) -> tuple[str, ...]:
        """The target's metrics, the main one first; one nameless metric where no cell was evaluated."""
        facts = self.results.targets.get(target)
        return facts.metrics if facts else ("",)

    def drawn(self, result: CellResult, metric: str) -> ByLanguage | None:
        """A cell's resamples, None unless it may take part in means."""
        return self._drawn.get((result.cell, metric)) if result.status == "done" else None

    def weights(self, of: Setting, seeds: int) -> Array:
        """Resampled seeds, drawn alike in all settings of a backbone and method, which share intermediates."""
        return seed_weights(seeds, self.resamples, generator("seeds", of.backbone, of.method))

    def cell_scores(self) -> tuple[CellScore, ...]:
        """Every score of every evaluated cell, collapsed ones too."""
        found = []
        for result in self.results.cells:
            for metric in result.scores.metrics if result.scores else ():
                for language in self.results.targets[result.cell.target].languages:
                    drawn = self._drawn[result.cell, metric.name].get(language)
                    if result.scores and drawn is not None:
                        items = len(result.scores.languages[language].ids)
                        found.append(CellScore(result, language, metric.name, drawn.estimate(), items))
        return tuple(found)

    def scores(self) -> tuple[Score, ...]:
        """One score per setting and metric."""
        return tuple(
            self._score(of, cells, metric) for of, cells in self.settings.items() for metric in self.metrics(of.target)
        )

    def _score(self, of: Setting, cells: Sequence[CellResult], metric: str) -> Score:
        facts = self.results.targets.get(of.target)
        statuses: Counter[str] = Counter(result.status for result in cells)
        parts = [self.drawn(result, metric) for result in cells]
        summary = summarise(facts, parts, self.weights(of, len(cells)), why(cells))
        spread = None
        if facts and len(cells) > 1 and isinstance(summary.headline, Estimate):
            languages = facts.others or facts.languages
            by_seed = [float(np.mean([part[name].points for name in languages])) for part in parts if part]
            spread = (min(by_seed), max(by_seed))
        return Score(of, metric, statuses, summary, spread)


def setting(cell: Cell) -> Setting:
    """The cell's row."""
    return Setting(cell.backbone, cell.method, cell.intermediate, cell.transfer, cell.target)


def summarise(facts: TargetFacts | None, parts: Sequence[ByLanguage | None], weights: Array, why: str = "") -> Summary:
    """Means over seeds, then over languages; `parts` are the seeds, None for one that is missing, for reason `why`."""
    present = [part for part in parts if part is not None]
    incomplete = Missing(len(present), len(parts), "seed", why)
    if facts is None:
        return Summary({}, incomplete, None, None, None)
    whole = len(present) == len(parts)
    drawn: dict[str, Drawn] = {}
    languages: dict[str, Quantity] = {}
    for name in facts.languages:
        seeds = [part[name] for part in present if name in part]
        if whole and len(seeds) == len(parts):
            stacked = Drawn(np.array([seed.points for seed in seeds]), np.array([seed.draws for seed in seeds]))
            drawn[name] = stacked.over_seeds(weights)
            languages[name] = drawn[name].estimate()
        else:
            languages[name] = Missing(len(seeds), len(parts), "seed", why)

    def mean(names: Sequence[str]) -> tuple[Quantity | None, Drawn | None]:
        if not names:
            return None, None
        if not whole:
            return incomplete, None
        found = [drawn[name] for name in names if name in drawn]
        if len(found) < len(names):
            return Missing(len(found), len(names), "language"), None
        total = Drawn(np.mean([one.points for one in found], axis=0), np.mean([one.draws for one in found], axis=0))
        return total.estimate(), total

    (everywhere, all_drawn), (sources, _) = mean(facts.languages), mean(facts.sources)
    others, others_drawn = mean(facts.others)
    return Summary(languages, everywhere or incomplete, sources, others, others_drawn if facts.others else all_drawn)


def why(cells: Sequence[CellResult]) -> str:
    """Why seeds are missing from a mean: 1 failed."""
    statuses = Counter(result.status for result in cells)
    return ", ".join(f"{count} {status}" for status, count in statuses.items() if status != "done")
