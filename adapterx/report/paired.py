"""Scores of single adapters on one task, by language and in the mean, and what one has more than another.

Intervals are over items: of an adapter that comes from elsewhere there is one training. Differences are paired, as both
have answered the same items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapterx.report import items, predictions
from adapterx.report.collect import TargetFacts
from adapterx.report.items import Items
from adapterx.report.scores import MEAN, is_share
from adapterx.report.statistics import Estimate, Measured, Scored, difference_of_models
from adapterx.results.predictions import StoredPredictions


@dataclass(frozen=True)
class PairedLine:
    """One language, or the mean over all (`scores.MEAN`)."""

    name: str
    items: int
    """Different test items."""
    scores: tuple[Estimate, ...]
    """Of each adapter."""
    difference: Estimate | None
    """The first adapter less the second, where there are two."""


@dataclass(frozen=True)
class Comparison:
    """Scores under one metric."""

    metric: str
    lines: tuple[PairedLine, ...]
    """The mean first, then languages by code."""
    majority: Mapping[str, float]
    """By language, the score of always giving the most frequent answer."""


def compared(adapters: Sequence[StoredPredictions]) -> tuple[Comparison, ...]:
    """The scores of one adapter or more under each metric of the task, the main one first.

    Args:
        adapters: answers to the same items, sorted.
    """
    found = [predictions.scored(one) for one in adapters]
    ids = {language: one.ids for language, one in found[0].languages.items()}
    assert all({language: one.ids for language, one in other.languages.items()} == ids for other in found), "one task"
    names = tuple(metric.name for metric in found[0].metrics)
    facts = TargetFacts("", names, tuple(sorted(ids)), (), ids, predictions.majority(adapters[0]))
    result = []
    for metric in found[0].metrics:
        by_adapter = [_with_mean(items.scored(one, metric), facts) for one in found]
        lines = tuple(_line(name, facts, metric.name, [one[name] for one in by_adapter]) for name in by_adapter[0])
        result.append(Comparison(metric.name, lines, facts.majority[metric.name]))
    return tuple(result)


def _with_mean(scores: Mapping[str, Scored], facts: TargetFacts) -> dict[str, Scored]:
    mean = Items(facts).mean(facts.languages, scores)
    return {MEAN: mean, **{language: scores[language] for language in facts.languages}}


def _line(name: str, facts: TargetFacts, metric: str, scores: Sequence[Scored]) -> PairedLine:
    ids = list(facts.items.values()) if name == MEAN else [facts.items[name]]
    count = len({id for some in ids for id in some})
    estimates = tuple(_alone(one, count).estimate(share=is_share(metric)) for one in scores)
    difference = None
    if len(scores) > 1:
        apart = _alone(scores[0] - scores[1], count)
        answers = sum(len(some) for some in ids)
        difference = (difference_of_models(apart, answers) if is_share(metric) else apart).estimate()
    return PairedLine(name, count, estimates, difference)


def _alone(scored: Scored, count: int) -> Measured:
    """One trained model's: nothing is known of others that might have been trained."""
    return Measured(scored.value, scored.influence, count, 0.0, 0.0, 0.0)
