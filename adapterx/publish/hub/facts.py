"""Everything that a card states of a cell: scores with intervals, what they are compared with, how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from adapterx.publish.cells import StoredCell
from adapterx.report.analysis import Analysis, statistics
from adapterx.report.collect import CellResult, Results, collect
from adapterx.report.gaps import Gap
from adapterx.report.scores import Grid, Setting, setting
from adapterx.report.statistics import Estimate, Missing, Quantity
from adapterx.results import provenance, training
from adapterx.results.provenance import MeasuredCost
from adapterx.store import JSON, Record, Store


@dataclass(frozen=True)
class Reported:
    """A run's results with what follows from them, computed once for all of its cells."""

    results: Results
    grid: Grid
    analysis: Analysis

    @classmethod
    def of(cls, store: Store, run_dir: Path) -> Self:
        """Read a run's results from the store; errors as of `run_file.read`."""
        results = collect(store, run_dir)
        return cls(results, Grid(results), statistics(results))


@dataclass(frozen=True)
class ScoreRow:
    """One language, or a mean over languages, under one metric."""

    name: str
    """The language's code, or what is averaged."""
    metric: str
    estimate: Estimate
    """Of the one trained model: over test items alone."""
    items: int
    trained_in: bool = False
    constant: str = ""
    """What is answered to everything, where that says nothing."""


@dataclass(frozen=True)
class Rival:
    """A setting of the same run with the same backbone, task and metric, a mean over its seeds."""

    setting: Setting
    score: Quantity
    own: bool
    """Whether it is the one that is published."""


@dataclass(frozen=True)
class CellScores:
    """What an evaluation came to, and what it is compared with."""

    metric: str
    """The main one."""
    metrics: tuple[str, ...]
    languages: tuple[ScoreRow, ...]
    means: tuple[ScoreRow, ...]
    seeds: tuple[tuple[int, float], ...]
    """The mean under the main metric of each seed that is done."""
    over_seeds: Quantity
    """Their mean, with the variance of training in its interval."""
    rivals: tuple[Rival, ...]
    gaps: tuple[Gap, ...]
    """Those of the run's comparisons that the setting is a side of."""
    verdict: str
    """In what way the answers are no result; empty where they are one."""
    target_training: bool
    """Whether the intermediate learnt the target's own task."""
    limit: int | None
    """Test items per language that were asked, where not all were."""
    majority: float | None
    """The main metric of the commonest answer, a mean over languages."""


def scores(reported: Reported, cell: StoredCell) -> CellScores:
    """The scores of a cell that has been evaluated."""
    results = reported.results
    (result,) = [one for one in results.cells if one.cell == cell.planned.cell]
    facts = results.targets[result.cell.target]
    own = setting(result.cell)
    judged = reported.analysis.judgements.get(result.cell)

    def said(language: str) -> str:
        constant = None if judged is None else judged.constant.get(language)
        return "" if constant is None else constant.always

    languages = tuple(
        ScoreRow(one.language, one.metric, one.estimate, one.items, one.language in facts.sources, said(one.language))
        for one in reported.analysis.cells
        if one.result.cell == result.cell
    )
    limit = results.run.limit
    majority = [facts.majority.get(facts.metrics[0], {}).get(code) for code in facts.languages]
    known = [one for one in majority if one is not None]
    return CellScores(
        metric=facts.metrics[0],
        metrics=facts.metrics,
        languages=languages,
        means=tuple(_means(reported, result)),
        seeds=_seeds(reported, own),
        over_seeds=_headline(reported, own, facts.metrics[0]),
        rivals=_rivals(reported, own, facts.metrics[0]),
        gaps=tuple(one for one in reported.analysis.gaps if own in (one.arm, one.baseline)),
        verdict=_verdict(result, "" if judged is None else judged.words),
        target_training=cell.planned.target_training,
        limit=None if limit is None else limit.items,
        majority=sum(known) / len(known) if known else None,
    )


def _verdict(result: CellResult, judged: str) -> str:
    """Why a cell is no result to rely on."""
    if result.status == "collapsed":
        return result.message or "it answers alike everywhere"
    return judged


def _means(reported: Reported, result: CellResult) -> list[ScoreRow]:
    facts = reported.results.targets[result.cell.target]
    named = {"average": facts.languages}
    if facts.others and facts.sources:
        named["average of languages it was not trained in"] = facts.others
    found = []
    for metric in facts.metrics:
        for name, codes in named.items():
            estimate = reported.grid.mean_of_cell(result, metric, codes)
            if estimate is not None:
                items = len({id for code in codes for id in facts.items[code]})
                found.append(ScoreRow(name, metric, estimate, items))
    return found


def _seeds(reported: Reported, own: Setting) -> tuple[tuple[int, float], ...]:
    """The main metric's mean over all languages, seed by seed."""
    facts = reported.results.targets[own.target]
    found = []
    for one in reported.grid.settings[own]:
        estimate = reported.grid.mean_of_cell(one, facts.metrics[0], facts.languages) if one.scores else None
        if estimate is not None:
            found.append((one.cell.seed, estimate.value))
    return tuple(found)


def _headline(reported: Reported, own: Setting, metric: str) -> Quantity:
    found = [one for one in reported.analysis.scores if one.setting == own and one.metric == metric]
    return found[0].summary.mean if found else Missing(0, 1, "seed")


def _rivals(reported: Reported, own: Setting, metric: str) -> tuple[Rival, ...]:
    """All settings on this backbone and target, the published one among them."""
    return tuple(
        Rival(one.setting, one.summary.mean, one.setting == own)
        for one in reported.analysis.scores
        if (one.setting.backbone, one.setting.target, one.metric) == (own.backbone, own.target, metric)
    )


@dataclass(frozen=True)
class TrainingFacts:
    """How one of a cell's trainings was done."""

    stage: str
    """What it is called, and its id."""
    id: str
    steps: int | None
    examples: int | None
    parameters: int | None
    seconds: float | None
    peak_memory_bytes: float | None
    hardware: str
    software: str
    settings: JSON


def trainings(cell: StoredCell) -> tuple[TrainingFacts, ...]:
    """Of every training that a cell is made of."""
    return tuple(map(_training, cell.trainings))


def _training(record: Record) -> TrainingFacts:
    cost, result = MeasuredCost.of(record), training.read(record)
    around = cast(dict[str, dict[str, JSON]], provenance.surroundings(record))
    machine, packages = around.get("machine", {}), around.get("packages", {})
    hardware = str(around.get("gpu") or machine.get("processor") or "")
    named = [f"{name} {version}" for name, version in packages.items() if version and name in _SOFTWARE]
    parameters = None if cost.trained_parameters is None else int(cost.trained_parameters)
    return TrainingFacts(
        stage=f"{record.kind} {record.label}",
        id=record.id,
        steps=result.steps,
        examples=result.examples,
        parameters=parameters,
        seconds=cost.seconds,
        peak_memory_bytes=cost.peak_memory_bytes,
        hardware=hardware,
        software=", ".join([f"adapterx {around.get('adapterx', '')}".strip(), *named]),
        settings=dict(record.settings),
    )


_SOFTWARE = ("torch", "transformers", "peft", "adapters")


def best_seed(cells: Sequence[StoredCell]) -> tuple[StoredCell, str]:
    """The seed of a setting that is published, and how it was chosen.

    By the score on dev data, where every seed's training noted one; test data may not choose what is tested on them.
    """
    if len(cells) == 1:
        return cells[0], ""
    dev = [training.read(one.target).best_dev for one in cells]
    known = [one for one in dev if one is not None]
    seeds = len(cells)
    if len(known) == seeds:
        best = max(range(seeds), key=lambda place: known[place])
        chosen = cells[best]
        return chosen, f"seed {chosen.planned.cell.seed} of {seeds}: the one with the best score on dev data"
    first = cells[0]
    return first, (
        f"seed {first.planned.cell.seed}, the first of {seeds}: no dev data chose among them, and test data must not"
    )
