"""What each intermediate gains over none on each target: maps, what is forgotten, and how well one would choose.

A map has the intermediates of one backbone, method and transfer, and the targets. Its entries are differences to the
cells without an intermediate, paired by item and seed; their variance of training is pooled over all such differences
of a target. Marked are those that stand among all entries of all maps by the method of Benjamini and Hochberg.

Regret@k is what whoever trains on the k intermediates that rank first still misses of the best one, in per cent of the
best score (Poth et al. 2021). Intermediates are ranked by what they gain on the other targets in the mean, so that the
target itself takes no part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapterx.report.multiplicity import benjamini_hochberg
from adapterx.report.scores import SOURCES, Family, Grid, Pair, Setting, headline
from adapterx.report.statistics import LEVEL, Estimate, Measured, measured, pooled
from adapterx.tasks.metrics import unit

REGRETS = (1, 3)
"""The k of Regret@k."""


@dataclass(frozen=True)
class Gain:
    """A setting less the one without an intermediate, on the target's main metric."""

    setting: Setting
    metric: str
    gain: Estimate
    """Of the headline mean."""
    score: float
    """Of the setting itself."""
    english: Estimate | None
    """The same in the languages that the target was trained in: what is forgotten of them, where it is below zero."""
    marked: bool = False
    """Whether it stands among all entries."""
    target_training: bool = False
    """Whether the intermediate learns the target's own task."""


@dataclass(frozen=True)
class Regret:
    """What choosing an intermediate by the other targets misses."""

    backbone: str
    method: str
    transfer: str
    target: str
    ranking: tuple[str, ...]
    """Intermediates, the most promising first."""
    regrets: Mapping[int, float]
    """By k, as a fraction of the best score."""


@dataclass(frozen=True)
class Maps:
    """All maps of a run."""

    gains: tuple[Gain, ...]
    regrets: tuple[Regret, ...]


def maps(grid: Grid) -> Maps:
    """The maps of a run; empty where nothing was trained without an intermediate, or no score is whole."""
    found: list[tuple[Gain, float]] = []
    own = grid.results.run.target_training
    for name, facts in grid.results.targets.items():
        family = grid.of(name, facts.metrics[0])
        if family is not None:
            found += _of_target(grid, family, own)
    marks = benjamini_hochberg([doubt for _, doubt in found], 1 - LEVEL)
    gains = tuple(replace(gain, marked=mark) for (gain, _), mark in zip(found, marks, strict=True))
    return Maps(gains, regrets([one for one in gains if not one.target_training]))


def _of_target(grid: Grid, family: Family, own: frozenset[tuple[str, str]]) -> list[tuple[Gain, float]]:
    """The entries of one target, with the p-values of no gain."""
    none = _without(grid)
    pairs = {
        one: grid.pair(one, none[_place(one)])
        for one in grid.settings
        if one.target == family.facts.name and _place(one) in none and one != none[_place(one)]
    }
    gains = _differences(family, {one: pair for one, pair in pairs.items() if pair[0]})
    found = []
    for one, by_name in gains.items():
        scores = family.measured(grid.settings[one])
        name = headline(family.facts)
        if name in by_name and name in scores:
            english = by_name[SOURCES].estimate() if SOURCES in by_name and name != SOURCES else None
            learnt = (one.intermediate, one.target) in own
            gain = Gain(one, family.metric, by_name[name].estimate(), scores[name].value, english, False, learnt)
            found.append((gain, by_name[name].doubt()))
    return found


def _without(grid: Grid) -> dict[tuple[str, str, str], Setting]:
    """The setting without an intermediate of each backbone, method and target."""
    trained = {one.cell for one in grid.results.run.cells if one.intermediate is not None or one.members}
    return {
        _place(one): one
        for one, cells in grid.settings.items()
        if one.transfer == "none" and not any(cell.cell in trained for cell in cells)
    }


def _place(of: Setting) -> tuple[str, str, str]:
    return of.backbone, of.method, of.target


def _differences(family: Family, pairs: Mapping[Setting, Pair]) -> dict[Setting, dict[str, Measured]]:
    """Differences of settings, their variance of training pooled over all of them."""
    samples = {one: family.differences(*pair) for one, pair in pairs.items()}
    training = {name: pooled(of[name] for of in samples.values() if name in of) for name in family.names}
    return {one: {name: measured(sample, training[name]) for name, sample in of.items()} for one, of in samples.items()}


def regrets(gains: Sequence[Gain]) -> tuple[Regret, ...]:
    """Regret@k on every target whose intermediates were tried on another target too; two intermediates, at least."""
    table: dict[tuple[str, str, str], dict[str, dict[str, Gain]]] = {}
    for one in gains:
        of = one.setting
        place = (of.backbone, of.method, of.transfer)
        table.setdefault(place, {}).setdefault(of.target, {})[of.intermediate] = one
    found = []
    for place, by_target in table.items():
        for target, own in by_target.items():
            others = [of for name, of in by_target.items() if name != target]
            promise = {name: _promise(name, others) for name in own if any(name in of for of in others)}
            if len(promise) > 1 and unit(next(iter(own.values())).metric).factor == 100:
                ranking = tuple(sorted(promise, key=lambda name: -promise[name]))
                found.append(Regret(*place, target, ranking, _regret(ranking, own)))
    return tuple(found)


def _promise(name: str, others: Sequence[Mapping[str, Gain]]) -> float:
    """What an intermediate gains on other targets in the mean."""
    known = [of[name].gain.value for of in others if name in of]
    return sum(known) / len(known)


def _regret(ranking: Sequence[str], own: Mapping[str, Gain]) -> dict[int, float]:
    best = max(own[name].score for name in ranking)
    return {k: (best - max(own[name].score for name in ranking[:k])) / best if best > 0 else 0.0 for k in REGRETS}
