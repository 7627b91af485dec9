from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from adapterx.report.collect import TargetFacts
from adapterx.report.predictions import LanguageItems, Predictions
from adapterx.report.scores import summarise
from adapterx.report.statistics import Drawn, Estimate, Missing, Resampler, generator, item_counts, seed_weights
from adapterx.tasks.metrics import Accuracy, SpanF1

LANGUAGES = ("en", "de", "sw")


def facts(items: int, *, parallel: bool = True, name: str = "choice") -> TargetFacts:
    ids = {
        language: tuple(f"{'' if parallel else language}{item:04}" for item in range(items)) for language in LANGUAGES
    }
    return TargetFacts(name, ("accuracy",), LANGUAGES, ("en",), ids, {})


def answers(target: TargetFacts, right: NDArray[np.bool_]) -> Predictions:
    """A cell that answers `right` (languages, items)."""
    statistics = np.stack([right, np.ones_like(right)], axis=-1).astype(np.float32)
    return Predictions(
        (Accuracy(),),
        {
            language: LanguageItems(target.items[language], {"accuracy": statistics[at]})
            for at, language in enumerate(LANGUAGES)
        },
    )


def test_draws_are_the_metric_on_the_resampled_items() -> None:
    """The matrix product against scoring the resampled items one by one, for a metric that is no mean."""
    random = np.random.default_rng(5)
    metric, items, resamples = SpanF1(["O", "B-A", "I-A"]), 30, 20
    gold, guess = ([random.integers(0, 3, 7) for _ in range(items)] for _ in range(2))
    statistics = metric.statistics(gold, guess).astype(np.float32)
    target = facts(items)
    scores = Predictions((metric,), {"en": LanguageItems(target.items["en"], {"span_f1": statistics})})
    drawn = Resampler(target, resamples).score(scores, metric)["en"]
    counts = item_counts(items, resamples, generator("items", "choice"))
    for at in range(resamples):
        chosen = np.repeat(np.arange(items), counts[at].astype(int))
        sums = metric.statistics([gold[item] for item in chosen], [guess[item] for item in chosen]).sum(axis=0)
        assert drawn.draws[at] == pytest.approx(float(metric.value(sums)))
    assert drawn.points == pytest.approx(float(metric.value(statistics.sum(axis=0, dtype=np.float64))))


def test_counts_are_resamples_with_replacement() -> None:
    counts = item_counts(40, 3000, generator("counts"))
    assert (counts.sum(axis=1) == 40).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(40), abs=0.1)
    assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / 40, rel=0.02)


@pytest.mark.parametrize("parallel", [True, False])
def test_intervals_cover_the_truth_as_often_as_they_say(parallel: bool) -> None:
    """The mean over languages, where an item that is hard in one language is hard in all of a parallel task."""
    items, trials, covered = 120, 300, 0
    target = facts(items, parallel=parallel)
    resampler = Resampler(target, 400)
    random = np.random.default_rng(1)
    for _ in range(trials):
        difficulty = random.normal(size=(1 if parallel else len(LANGUAGES), items))
        right = difficulty + 0.5 * random.normal(size=(len(LANGUAGES), items)) < 0.5
        drawn = resampler.score(answers(target, right), Accuracy())
        estimate = _mean(drawn.values()).estimate()
        covered += estimate.low <= 0.6726 <= estimate.high  # the normal's mass below 0.5 / sqrt(1 + 0.25)
    assert 0.915 <= covered / trials <= 0.98


def _mean(drawn: object) -> Drawn:
    parts = list(drawn)  # type: ignore[call-overload]
    return Drawn(np.mean([part.points for part in parts], axis=0), np.mean([part.draws for part in parts], axis=0))


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_resampled_seeds_vary_as_much_as_the_mean_of_seeds_does(seeds: int) -> None:
    """Var = s² / S with the unbiased s², which plain resampling would understate by (S - 1) / S."""
    values = np.random.default_rng(seeds).normal(size=seeds)
    draws = seed_weights(seeds, 20_000, generator("test")) @ values
    assert draws.mean() == pytest.approx(values.mean(), abs=0.03)
    assert draws.var() == pytest.approx(values.var(ddof=1) / seeds, rel=0.05)


def test_one_seed_leaves_the_items_alone() -> None:
    assert (seed_weights(1, 5, generator("test")) == 1).all()


def test_seed_effects_widen_the_interval() -> None:
    target, random = facts(200), np.random.default_rng(2)
    resampler, weights = Resampler(target, 1000), seed_weights(4, 1000, generator("test"))

    def width(spread: float) -> float:
        chances = 0.7 + spread * np.array([-1, -1, 1, 1])
        parts = [resampler.score(answers(target, random.random((3, 200)) < one), Accuracy()) for one in chances]
        mean = summarise(target, parts, weights).mean
        assert isinstance(mean, Estimate)
        return mean.high - mean.low

    assert width(0.15) > 2 * width(0.0)


def test_a_mean_needs_every_seed() -> None:
    target = facts(20)
    drawn = Resampler(target, 100).score(answers(target, np.ones((3, 20), bool)), Accuracy())
    summary = summarise(target, [drawn, None, drawn], seed_weights(3, 100, generator("test")), "1 failed")
    missing = Missing(2, 3, "seed", "1 failed")
    assert summary.mean == summary.others == summary.sources == summary.languages["sw"] == missing
    assert str(missing) == "2 of 3 seeds (1 failed)"


def test_a_mean_needs_every_language() -> None:
    target = facts(20)
    drawn = dict(Resampler(target, 100).score(answers(target, np.ones((3, 20), bool)), Accuracy()))
    del drawn["sw"]
    summary = summarise(target, [drawn], seed_weights(1, 100, generator("test")))
    assert summary.mean == Missing(2, 3, "language")
    assert summary.others == Missing(1, 2, "language")
    assert summary.sources == Estimate(1.0, 1.0, 1.0)
    assert summary.languages["sw"] == Missing(0, 1, "seed", "")


def test_draws_depend_on_their_key_alone() -> None:
    assert (generator("a", "b").random(3) == generator("a", "b").random(3)).all()
    assert (generator("a", "b").random(3) != generator("ab").random(3)).any()
