from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from adapterx.plan.cells import Cell
from adapterx.report.collect import CellResult, TargetFacts
from adapterx.report.items import Items, scored
from adapterx.report.predictions import LanguageItems, Predictions
from adapterx.report.scores import MEAN, OTHERS, Family, summarise
from adapterx.report.statistics import (
    ALIKE,
    LEVEL,
    Estimate,
    Measured,
    Missing,
    Sample,
    Scored,
    TrainingVariance,
    combined,
    difference_of_models,
    differences,
    joined,
    measured,
    pooled,
    sample,
)
from adapterx.report.student import reach
from adapterx.tasks.metrics import Accuracy, Metric
from adapterx.tasks.metrics import metric as named
from adapterx.tasks.metrics_retrieval import PairF1

LANGUAGES = ("en", "de", "sw")
Ids = dict[str, tuple[str, ...]]


def ids(items: int, *, parallel: bool = True) -> Ids:
    return {name: tuple(f"{'' if parallel else name}{item:04}" for item in range(items)) for name in LANGUAGES}


def facts(of: Ids) -> TargetFacts:
    return TargetFacts("choice", ("accuracy",), LANGUAGES, ("en",), of, {})


def answers(of: Ids, right: dict[str, NDArray[np.bool_]]) -> Predictions:
    languages = {
        name: LanguageItems(of[name], {"accuracy": np.stack([right[name], np.ones_like(right[name])], -1).astype("f4")})
        for name in right
    }
    return Predictions((Accuracy(),), languages)


def drawn(
    of: Ids, random: np.random.Generator, chance: float = 0.7, shared: float = 0.8
) -> dict[str, NDArray[np.bool_]]:
    """Answers to items of which one that is hard in a language tends to be hard in all."""
    place = {id: at for at, id in enumerate(sorted({id for one in of.values() for id in one}))}
    hard = random.normal(size=len(place))
    found = {}
    for name, own in of.items():
        noise = random.normal(size=len(own))
        found[name] = shared * hard[[place[id] for id in own]] + np.sqrt(1 - shared**2) * noise < 0.5
    return found


def bootstrapped(of: Ids, statistics: dict[str, NDArray[np.float32]], metric: Metric, resamples: int = 4000) -> float:
    """Variance of the mean over languages when ids, of all languages together, are resampled."""
    union = sorted({id for one in of.values() for id in one})
    place = {id: at for at, id in enumerate(union)}
    random = np.random.default_rng(3)
    counts = random.multinomial(len(union), np.full(len(union), 1 / len(union)), size=resamples).astype(float)
    scores = [
        metric.value(counts[:, [place[id] for id in of[name]]] @ statistics[name].astype(float)) for name in statistics
    ]
    return float(np.var(np.mean(scores, axis=0)))


@pytest.mark.parametrize("overlap", ["parallel", "partly", "apart"])
def test_influences_hold_the_variance_that_a_bootstrap_of_ids_finds(overlap: str) -> None:
    of = ids(150, parallel=overlap != "apart")
    if overlap == "partly":
        of = {"en": of["en"], "de": of["de"][:140], "sw": (*of["sw"][20:], "extra1", "extra2")}
    scores = answers(of, drawn(of, np.random.default_rng(1)))
    mean = Items(facts(of)).mean(LANGUAGES, scored(scores, Accuracy()))
    expected = bootstrapped(
        of, {name: one.statistics["accuracy"] for name, one in scores.languages.items()}, Accuracy()
    )
    assert float(np.sum(mean.influence**2)) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("metric", [named("span_f1", ["O", "B-A", "I-A"]), PairF1()], ids=["spans", "pairs"])
def test_influences_hold_for_scores_that_are_no_means(metric: Metric) -> None:
    random, items = np.random.default_rng(5), 300
    if isinstance(metric, PairF1):
        gold = [[f"t{item}"] if random.random() < 0.7 else [] for item in range(items)]
        said = [
            "" if random.random() < 0.3 else f"t{item if random.random() < 0.7 else item + 1}" for item in range(items)
        ]
        statistics = metric.statistics(gold, said).astype(np.float32)
    else:
        tags = random.integers(0, 3, (items, 7))
        guess = np.where(random.random(tags.shape) < 0.7, tags, random.integers(0, 3, tags.shape))
        statistics = metric.statistics(list(tags), list(guess)).astype(np.float32)
    names = tuple(f"{item}" for item in range(items))
    one = scored(Predictions((metric,), {"en": LanguageItems(names, {metric.name: statistics})}), metric)["en"]
    assert one.value == pytest.approx(float(metric.value(statistics.sum(axis=0, dtype=float))))
    expected = bootstrapped({"en": names}, {"en": statistics}, metric)
    assert float(np.sum(one.influence**2)) == pytest.approx(expected, rel=0.1)


def test_one_item_less_in_one_language_changes_next_to_nothing() -> None:
    """Languages that lack an id are no independent languages for it."""
    of = ids(200)
    right = drawn(of, np.random.default_rng(2), shared=0.95)

    def width(of: Ids, right: dict[str, NDArray[np.bool_]]) -> float:
        mean = Items(facts(of)).mean(LANGUAGES, scored(answers(of, right), Accuracy()))
        return float(np.sqrt(np.sum(mean.influence**2)))

    less = width({**of, "sw": of["sw"][:-1]}, {**right, "sw": right["sw"][:-1]})
    assert less == pytest.approx(width(of, right), rel=0.02)
    apart = ids(200, parallel=False)
    assert width(apart, right) < 0.75 * less


def test_the_mean_of_an_accuracy_has_the_textbook_error() -> None:
    of = {"en": ids(80)["en"]}
    right = np.arange(80) < 60
    one = scored(answers(of, {"en": right}), Accuracy())["en"]
    assert float(np.sum(one.influence**2)) == pytest.approx(0.75 * 0.25 / 79, rel=1e-4)
    estimate = Measured(one.value, one.influence, 80, 0.0, 0.0, 0.0).estimate()
    assert estimate.high - estimate.value == pytest.approx(reach(0.95, 79) * np.sqrt(0.75 * 0.25 / 79), rel=1e-4)


def scores(values: Sequence[float], items: int = 100, spread: float = 0.0) -> list[Scored]:
    random = np.random.default_rng(8)
    return [Scored(value, spread * random.normal(size=items)) for value in values]


def test_the_variance_of_training_is_pooled_by_degrees_of_freedom() -> None:
    found = [sample(scores([0.1, 0.3]), 100), sample(scores([0.4, 0.5, 0.6]), 100), sample(scores([0.9]), 100)]
    training = pooled(found)
    assert training.variance == pytest.approx((0.02 + 0.02) / 3)  # sums of squares over 1 + 2 + 0 degrees of freedom
    uneven = 0.04**2 / (0.02**2 / 1 + 0.02**2 / 2)  # Satterthwaite's, of the sums of squares
    assert training.freedom == pytest.approx(ALIKE * 3 + (1 - ALIKE) * uneven)
    assert pooled(found[:1]).freedom == 1  # a single setting has nothing to be unlike
    assert pooled([]) == pooled(found[2:]) == TrainingVariance(0.0, 0.0, 0.0)


def test_the_interaction_of_items_and_training_is_counted_once() -> None:
    """Seeds that differ by the choice of items alone: together both parts say what items and seeds say."""
    seeds = scores([0.5, 0.5, 0.5, 0.5], items=2000, spread=0.01)
    one = sample(seeds, 2000)
    assert one.interaction == pytest.approx(2000 * 0.01**2, rel=0.1)  # of one seed, the variance of its own influences
    found = measured(one, TrainingVariance(one.interaction, one.interaction, 3))
    assert found.training == pytest.approx(found.interaction)
    assert found.reach() == pytest.approx(reach(0.95, 3) * np.sqrt(one.interaction / 4), rel=0.1)


def test_a_pooled_variance_that_one_setting_makes_is_hardly_surer_than_that_setting() -> None:
    alike = pooled([sample(scores([0.1, 0.3]), 100)] * 4)
    uneven = pooled([sample(scores(values), 100) for values in ([0.1, 0.9], [0.5, 0.5], [0.3, 0.3], [0.2, 0.2])])
    assert alike.freedom == pytest.approx(4)
    assert uneven.freedom == pytest.approx(4 * ALIKE + (1 - ALIKE))


def test_a_gap_has_the_variance_of_its_differences() -> None:
    """What both trainings of a seed share is no error of their difference."""
    together = differences(scores([0.5, 0.7]), scores([0.3, 0.5]), 100)
    against = differences(scores([0.5, 0.7]), scores([0.5, 0.3]), 100)
    assert together.value == pytest.approx(0.2) == against.value
    assert pooled([together]).variance == pytest.approx(0.0)
    assert pooled([against]).variance == pytest.approx(0.08)  # of 0.0 and 0.4
    gap = measured(against, TrainingVariance(0.04, 0.0, 8))
    assert gap.training == pytest.approx(0.04 / 2)
    assert combined([(1.0, gap), (-1.0, gap)]).training == pytest.approx(2 * 0.04 / 2)


def test_an_interval_reaches_the_mean_of_two_lengths() -> None:
    items, training = 0.01**2, 0.02**2
    one = Measured(0.2, np.full(100, 0.001), 100, training, 0.0, 4)
    apart = np.sqrt(reach(0.95, 4) ** 2 * training + reach(0.95, 99) ** 2 * items)
    welch = (training + items) ** 2 / (training**2 / 4 + items**2 / 99)
    together = reach(0.95, welch) * np.sqrt(training + items)
    assert one.reach() == pytest.approx((apart + together) / 2, rel=0.01)
    assert one.reach() >= (apart + together) / 2, "rounded to the safe side"


def test_arms_that_answer_alike_differ_by_no_chance() -> None:
    seeds = scores([0.4, 0.6], spread=0.01)
    alike = differences(seeds, seeds, 100)
    assert alike.freedom == 0
    assert measured(alike, TrainingVariance(0.02, 0.0, 4)).estimate() == Estimate(0.0, 0.0, 0.0)
    other = differences(seeds, seeds[::-1], 100)  # the same mean, by other trainings
    assert measured(other, TrainingVariance(0.02, 0.0, 4)).reach() > 0.1


def test_one_seed_leaves_the_items_alone() -> None:
    one = sample(scores([0.5], spread=0.01), 100)
    found = measured(one, pooled([one]))
    assert (found.training, found.freedom) == (0.0, 0.0)
    assert found.reach() == pytest.approx(reach(0.95, 99) * float(np.sqrt(np.sum(one.influence**2))))


def test_a_backbone_as_it_is_has_no_chance_of_training() -> None:
    still = sample(scores([0.5, 0.5]), 100, untrained=True)
    trained = sample(scores([0.4, 0.6]), 100)
    training = pooled([still, trained])
    assert training == pooled([trained])
    assert measured(still, training).training == 0.0
    assert differences(scores([0.4, 0.6]), scores([0.5, 0.5]), 100).freedom == 1
    assert differences(scores([0.5, 0.6]), scores([0.5, 0.5]), 100, untrained=True).freedom == 0


def test_a_single_item_says_nothing_of_others() -> None:
    alone = Measured(0.2, np.zeros(1), 1, 0.0, 0.0, 0.0)
    assert alone.estimate() == Estimate(0.2, -0.8, 1.2)
    assert alone.estimate(share=True) == Estimate(0.2, 0.0, 1.0)


def test_doubt_is_the_level_at_which_zero_is_just_left_out() -> None:
    for value in (0.01, 0.02, 0.03):
        one = Measured(value, np.full(100, 0.001), 100, 1e-5, 0.0, 4)
        assert one.reach(1 - one.doubt()) < value < one.reach(1 - 0.97 * one.doubt())
    assert Measured(0.0, np.zeros(100), 100, 0.0, 0.0, 0.0).doubt() == 1.0
    assert Measured(0.5, np.zeros(100), 100, 0.0, 0.0, 0.0).doubt() < 1e-8


def test_doubt_agrees_with_the_interval_beside_its_level() -> None:
    reach_ = Measured(1.0, np.full(100, 0.001), 100, 1e-5, 0.0, 4).reach()
    for factor in (1 - 1e-9, 1 + 1e-9):
        one = Measured(factor * reach_, np.full(100, 0.001), 100, 1e-5, 0.0, 4)
        assert (one.doubt() <= 1 - LEVEL) == (one.estimate().sign == 1) == (factor > 1)


def test_scores_of_different_items_are_averaged_end_to_end() -> None:
    both = joined([Scored(0.2, np.array([0.1, -0.1])), Scored(0.4, np.array([0.3]))])
    assert both.value == pytest.approx(0.3)
    assert both.influence == pytest.approx([0.05, -0.05, 0.15])


def family(right: Sequence[dict[str, NDArray[np.bool_]] | None]) -> tuple[Family, list[CellResult]]:
    """One setting's cells, a failed one for None."""
    of, cells, known = ids(20), [], {}
    for seed, one in enumerate(right):
        cell = Cell("small", "lora", "en", "continue", "choice", seed)
        found = None if one is None else answers(of, one)
        cells.append(CellResult(cell, "failed" if found is None else "done", "", found))
        if found is not None:
            known[cell] = scored(found, Accuracy())
    made = Family(facts(of), "accuracy", known, frozenset())
    made.learn([cells])
    return made, cells


def test_a_mean_needs_every_seed() -> None:
    random = np.random.default_rng(1)
    made, cells = family([drawn(ids(20), random), None, drawn(ids(20), random)])
    summary = summarise(made, made.measured(cells), cells)
    missing = Missing(2, 3, "seed", "1 failed")
    assert summary.mean == summary.others == summary.sources == summary.languages["sw"] == missing
    assert str(missing) == "2 of 3 seeds (1 failed)"
    assert made.samples([cells[0], cells[2]])[OTHERS].freedom == 1  # the seeds that are there still tell the variance


def test_a_mean_needs_every_language() -> None:
    everything = {name: np.ones(20, bool) for name in ("en", "de")}
    made, cells = family([everything])
    summary = summarise(made, made.measured(cells), cells, share=True)
    assert summary.mean == Missing(2, 3, "language")
    assert summary.others == Missing(1, 2, "language")
    # By Wilson: 20 right answers of 20 leave room for a share of n / (n + t²).
    assert isinstance(summary.sources, Estimate)
    assert (summary.sources.value, summary.sources.high) == (1.0, 1.0)
    assert summary.sources.low == pytest.approx(20 / (20 + reach(0.95, 19) ** 2))
    assert summary.languages["sw"] == Missing(0, 1, "seed", "")


def test_seed_effects_widen_the_interval() -> None:
    def width(chances: Sequence[float]) -> float:
        random = np.random.default_rng(4)
        of = ids(20)
        made, cells = family([{name: random.random(20) < one for name in of} for one in chances])
        return made.measured(cells)[MEAN].reach()

    assert width([0.4, 0.4, 0.9, 0.9]) > 2 * width([0.65, 0.65, 0.65, 0.65])


def test_a_sample_is_its_seeds() -> None:
    found = sample([Scored(0.2, np.array([0.1, 0.3])), Scored(0.4, np.array([0.3, -0.1]))], 2)
    assert found == Sample((0.2, 0.4), found.influence, found.interaction, 2)
    assert found.influence == pytest.approx([0.2, 0.1])
    assert found.interaction == pytest.approx(0.1**2 + 0.2**2 + 0.1**2 + 0.2**2)


@pytest.mark.parametrize(("right", "items"), [(0, 60), (1, 60), (33, 60), (59, 60), (60, 60), (190, 200)])
def test_one_model_has_the_interval_of_wilson(right: int, items: int) -> None:
    """That of statsmodels, with the quantile of t in place of the normal one, and n - 1 in a variance that there is."""
    of = {"en": ids(items)["en"]}
    one = scored(answers(of, {"en": np.arange(items) < right}), Accuracy())["en"]
    found = Measured(one.value, one.influence, items, 0.0, 0.0, 0.0).estimate(share=True)
    tail = 2 * stats.norm.sf(reach(LEVEL, items - 1))
    counted = items - 1 if 0 < right < items else items
    low, high = proportion_confint(counted * right / items, counted, alpha=tail, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)
    assert found.low <= found.value <= found.high


def test_a_share_of_many_items_has_the_same_interval_either_way() -> None:
    one = Measured(0.6, np.full(20_000, 0.0035 / np.sqrt(20_000)), 20_000, 0.01**2, 0.0, 6.0)
    share, other = one.estimate(share=True), one.estimate()
    assert (share.low, share.high) == pytest.approx((other.low, other.high), abs=1e-4)


def test_two_models_that_rarely_differ_have_a_length() -> None:
    """The interval of Bonett and Price (2012): one item more for either side, up to the items' number in it."""
    items, ahead, behind = 100, 3, 1
    differences_ = np.array([1.0] * ahead + [-1.0] * behind + [0.0] * (items - ahead - behind))
    influence = (differences_ - differences_.mean()) / np.sqrt(items * (items - 1))
    plain = Measured(differences_.mean(), influence, items, 0.0, 0.0, 0.0)
    wider = difference_of_models(plain, items)
    first, second = (ahead + 1) / (items + 2), (behind + 1) / (items + 2)
    expected = np.sqrt((first + second - (first - second) ** 2) / (items + 2))
    assert wider.reach() / reach(LEVEL, items - 1) == pytest.approx(expected, rel=0.03)
    assert plain.reach() < 0.9 * wider.reach()
    trained = Measured(0.1, influence, items, 0.01, 0.0, 3.0)
    assert difference_of_models(trained, items) == trained
