"""Scores of settings: means over seeds and languages, each with its interval or with what is missing.

Nothing is computed over fewer seeds or languages than the run asked for: such a value is `Missing`, with the count.
A collapsed cell (one that answers alike everywhere) has scores of its own but no part in a mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, Results, TargetFacts
from adapterx.report.items import Items, scored
from adapterx.report.statistics import (
    Estimate,
    Measured,
    Missing,
    Quantity,
    Sample,
    Scored,
    TrainingVariance,
    difference_of_models,
    differences,
    measured,
    pooled,
    sample,
)
from adapterx.tasks.metrics import unit

ByLanguage = Mapping[str, Scored]
Pair = tuple[Sequence[CellResult], Sequence[CellResult]]
"""Cells of an arm and of its baseline, with the same seeds in the same order."""
MEAN, SOURCES, OTHERS = " mean", " sources", " others"
"""Means over languages, beside the languages; a space begins no code."""


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
    measured: Measured | None
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


class Family:
    """The settings of one target under one metric, whose trainings vary alike: they share the variance of training."""

    def __init__(
        self, facts: TargetFacts, metric: str, cells: Mapping[Cell, ByLanguage], once: frozenset[Cell]
    ) -> None:
        self.facts = facts
        self.metric = metric
        self.names = (*facts.languages, *(name for name, of in _means(facts).items() if of))
        """Languages, then the means over them that there are."""
        self._once = once
        self._items = Items(facts)
        self._cells = {cell: self._with_means(scores) for cell, scores in cells.items()}
        self._training: dict[str, TrainingVariance] = {}
        self._training_of_gaps: dict[str, TrainingVariance] = {}
        self._samples: dict[tuple[Cell, ...], Mapping[str, Sample]] = {}

    def seeds(self, cells: Sequence[CellResult], name: str) -> list[Scored]:
        """The scores of the cells that may take part in means: under a language's name, or that of a mean."""
        done = [self._cells.get(one.cell, {}) for one in cells if one.status == "done"]
        return [scores[name] for scores in done if name in scores]

    def scored(self, cell: CellResult, name: str) -> Scored | None:
        """One cell's score under a language's name or that of a mean, whatever its status; None where it has none."""
        return self._cells.get(cell.cell, {}).get(name)

    def samples(self, cells: Sequence[CellResult]) -> Mapping[str, Sample]:
        """One setting's scores as they came out, by language and mean, where every seed has one."""
        key = tuple(one.cell for one in cells)
        if key not in self._samples:
            done = [self._cells.get(one.cell, {}) if one.status == "done" else {} for one in cells]
            untrained = len(cells) > 1 and all(one.cell in self._once for one in cells)
            self._samples[key] = {
                name: sample([scores[name] for scores in done], self.items(name), untrained=untrained)
                for name in self.names
                if done and all(name in scores for scores in done)
            }
        return self._samples[key]

    def items(self, name: str) -> int:
        """Different items behind a language's score, or a mean's."""
        return self._items.count if name in _means(self.facts) else len(self.facts.items[name])

    def differences(self, arm: Sequence[CellResult], baseline: Sequence[CellResult]) -> dict[str, Sample]:
        """One setting minus another with the same seeds, by language and mean, where both have every score."""
        first, second = self.samples(arm), self.samples(baseline)
        return {
            name: differences(
                self.seeds(arm, name),
                self.seeds(baseline, name),
                self.items(name),
                untrained=first[name].untrained and second[name].untrained,
            )
            for name in first
            if name in second
        }

    def learn(self, settings: Iterable[Sequence[CellResult]], compared: Iterable[Pair] = ()) -> None:
        """Estimate the variances of training, of what is done: from all settings, and from all gaps."""
        known = [self.samples([one for one in cells if one.status == "done"]) for cells in settings]
        gaps = [self.differences(*whole) for pair in compared if (whole := _done(pair))[0]]
        for name in self.names:
            self._training[name] = pooled(samples[name] for samples in known if name in samples)
            self._training_of_gaps[name] = pooled(samples[name] for samples in gaps if name in samples)

    def contrast(self, arm: Sequence[CellResult], baseline: Sequence[CellResult]) -> dict[str, Measured]:
        """One setting minus another with the same seeds, where both are whole."""
        found = {
            name: measured(one, self._training_of_gaps[name]) for name, one in self.differences(arm, baseline).items()
        }
        if not is_share(self.metric):
            return found
        return {name: difference_of_models(one, self.answers(name)) for name, one in found.items()}

    def answers(self, name: str) -> int:
        """How many answers a language's score, or a mean's, is made of."""
        return sum(len(self.facts.items[language]) for language in _means(self.facts).get(name, (name,)))

    def measured(self, cells: Sequence[CellResult]) -> dict[str, Measured]:
        """A setting's means over seeds, where they are whole."""
        return {name: measured(one, self._training[name]) for name, one in self.samples(cells).items()}

    def _with_means(self, scores: ByLanguage) -> ByLanguage:
        means = {
            name: self._items.mean(languages, scores)
            for name, languages in _means(self.facts).items()
            if languages and all(language in scores for language in languages)
        }
        return {**{name: scores[name] for name in self.facts.languages if name in scores}, **means}


class Grid:
    """The cells of a run by setting, and the families they belong to."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.settings: dict[Setting, list[CellResult]] = {}
        for result in results.cells:
            self.settings.setdefault(setting(result.cell), []).append(result)
        for cells in self.settings.values():
            cells.sort(key=lambda result: result.cell.seed)
        self._once = _evaluated_once(results)
        self._scored: dict[tuple[str, str], dict[Cell, ByLanguage]] = {}
        for result in results.cells:
            for metric in result.scores.metrics if result.scores else ():
                if result.scores is not None:
                    of_metric = self._scored.setdefault((result.cell.target, metric.name), {})
                    of_metric[result.cell] = scored(result.scores, metric)
        self._families = {
            (name, metric): self.family(facts, metric)
            for name, facts in results.targets.items()
            for metric in facts.metrics
        }

    def metrics(self, target: str) -> tuple[str, ...]:
        """The target's metrics, the main one first; one nameless metric where no cell was evaluated."""
        facts = self.results.targets.get(target)
        return facts.metrics if facts else ("",)

    def family(
        self, facts: TargetFacts, metric: str, compared: Iterable[tuple[Setting, Setting]] | None = None
    ) -> Family:
        """The settings of a target, over the languages of `facts`, which may be some of the target's.

        Args:
            compared: pairs whose differences share the variance of training; those of the recipe where None.
        """
        found = Family(facts, metric, self._scored.get((facts.name, metric), {}), self._once)
        pairs = self.compared() if compared is None else compared
        found.learn(
            (cells for place, cells in self.settings.items() if place.target == facts.name),
            (self.pair(*sides) for sides in pairs if sides[0].target == facts.name),
        )
        return found

    def compared(self) -> Iterator[tuple[Setting, Setting]]:
        """Arm and baseline of every gap the recipe's `compare` asks for; none without it."""
        compare = self.results.run.compare
        if compare is not None:
            yield from self.between(*compare[:2])

    def between(self, arm: str, baseline: str) -> Iterator[tuple[Setting, Setting]]:
        """Settings of two intermediates that differ in nothing else."""
        sides = ([one for one in self.settings if one.intermediate == name] for name in (arm, baseline))
        for one, other in product(*sides):
            same = (one.backbone, one.method, one.target) == (other.backbone, other.method, other.target)
            if same and len({one.transfer, other.transfer} - {"none"}) <= 1 and self.pair(one, other)[0]:
                yield one, other

    def pair(self, arm: Setting, baseline: Setting) -> Pair:
        """The cells of both sides that have a seed in common, by seed."""
        sides = self.settings[arm], self.settings[baseline]
        both = set.intersection(*({one.cell.seed for one in side} for side in sides))
        first, second = (tuple(one for one in side if one.cell.seed in both) for side in sides)
        return first, second

    def of(self, target: str, metric: str) -> Family | None:
        """The family of a target and metric; None where no cell was evaluated."""
        return self._families.get((target, metric))

    def mean_of_cell(self, result: CellResult, metric: str, languages: Sequence[str]) -> Estimate | None:
        """One cell's mean over those of the languages that it has a score in, with its interval over items."""
        scores = self._scored.get((result.cell.target, metric), {}).get(result.cell, {})
        known = [language for language in languages if language in scores]
        if not known:
            return None
        facts = self.results.targets[result.cell.target]
        found = Items(facts).mean(known, scores)
        items = len({id for language in known for id in facts.items[language]})
        return Measured(found.value, found.influence, items, 0.0, 0.0, 0.0).estimate(share=is_share(metric))

    def cell_scores(self) -> tuple[CellScore, ...]:
        """Every score of every evaluated cell, collapsed ones too."""
        found = []
        for result in self.results.cells:
            for metric in result.scores.metrics if result.scores else ():
                by_language = self._scored[result.cell.target, metric.name][result.cell]
                for language in self.results.targets[result.cell.target].languages:
                    if language in by_language:
                        one = by_language[language]
                        alone = Measured(one.value, one.influence, len(one.influence), 0.0, 0.0, 0.0)
                        estimate = alone.estimate(share=is_share(metric.name))
                        found.append(CellScore(result, language, metric.name, estimate, alone.items))
        return tuple(found)

    def scores(self) -> tuple[Score, ...]:
        """One score per setting and metric."""
        return tuple(
            self._score(of, cells, metric) for of, cells in self.settings.items() for metric in self.metrics(of.target)
        )

    def _score(self, of: Setting, cells: Sequence[CellResult], metric: str) -> Score:
        statuses: Counter[str] = Counter(result.status for result in cells)
        family = self.of(of.target, metric)
        if family is None:
            return Score(
                of, metric, statuses, Summary({}, Missing(0, len(cells), "seed", why(cells)), None, None, None), None
            )
        summary = summarise(family, family.measured(cells), cells, share=is_share(metric))
        spread = None
        if len(cells) > 1 and isinstance(summary.headline, Estimate):
            by_seed = [one.value for one in family.seeds(cells, headline(family.facts))]
            spread = (min(by_seed), max(by_seed))
        return Score(of, metric, statuses, summary, spread)


def setting(cell: Cell) -> Setting:
    """The cell's row."""
    return Setting(cell.backbone, cell.method, cell.intermediate, cell.transfer, cell.target)


def headline(facts: TargetFacts) -> str:
    """The mean that stands for a target: over the languages it was not trained in, or over all if there are none."""
    return OTHERS if facts.others else MEAN


def is_share(metric: str) -> bool:
    """Whether a metric's scores lie in [0, 1]."""
    return unit(metric).within == "[0, 1]"


def summarise(
    family: Family, found: Mapping[str, Measured], cells: Sequence[CellResult], *, share: bool = False, reason: str = ""
) -> Summary:
    """What was measured, and where it was not, what is missing.

    Args:
        family: of the target and metric.
        found: what was measured, by language or mean.
        cells: of the setting, which tell what is missing.
        share: whether values lie in [0, 1].
        reason: why something is missing, where the cells' statuses do not tell.
    """
    facts, reason = family.facts, reason or why(cells)

    def quantity(name: str) -> Quantity:
        if name in found:
            return found[name].estimate(share=share)
        present = len(family.seeds(cells, name))
        done = sum(one.status == "done" for one in cells)
        if name in facts.languages or done < len(cells):
            return Missing(done if name in _means(facts) else present, len(cells), "seed", reason)
        languages = _means(facts)[name]
        return Missing(sum(language in found for language in languages), len(languages), "language")

    return Summary(
        languages={name: quantity(name) for name in facts.languages},
        mean=quantity(MEAN),
        sources=quantity(SOURCES) if facts.sources else None,
        others=quantity(OTHERS) if facts.others else None,
        measured=found.get(headline(facts)),
    )


def why(cells: Sequence[CellResult]) -> str:
    """Why seeds are missing from a mean: 1 failed."""
    statuses = Counter(result.status for result in cells)
    return ", ".join(f"{count} {status}" for status, count in statuses.items() if status != "done")


def _done(pair: Pair) -> Pair:
    """The seeds of which both cells are done."""
    done = [sides for sides in zip(*pair, strict=True) if all(one.status == "done" for one in sides)]
    return [one for one, _ in done], [other for _, other in done]


def _means(facts: TargetFacts) -> dict[str, tuple[str, ...]]:
    return {MEAN: facts.languages, SOURCES: facts.sources, OTHERS: facts.others}


def _evaluated_once(results: Results) -> frozenset[Cell]:
    """The cells whose evaluation is that of another seed too: nothing was trained for them."""
    seeds: dict[tuple[str, Setting], list[Cell]] = {}
    for planned in results.run.cells:
        if planned.evaluation is not None:
            seeds.setdefault((planned.evaluation.id, setting(planned.cell)), []).append(planned.cell)
    return frozenset(cell for cells in seeds.values() if len(cells) > 1 for cell in cells)
