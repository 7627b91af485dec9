from __future__ import annotations

import pytest

from adapterx.report import numbers
from adapterx.report.statistics import Estimate, Missing


def around(value: float, reach: float = 0.01) -> Estimate:
    return Estimate(value, value - reach, value + reach)


def test_numbers() -> None:
    assert (numbers.score(0.71349), numbers.points(0.0234), numbers.points(-0.0234)) == ("71.3", "+2.3", "−2.3")
    assert (numbers.points(-0.0001), numbers.points(0.0)) == ("0.0", "0.0")
    assert (numbers.value(0.71349, "accuracy"), numbers.value(1286.64, "rank_distance")) == ("71.3", "1,286.6")
    assert numbers.value_interval(around(286, 1), "rank_distance") == "[285.0, 287.0]"
    assert numbers.gap(around(0.005)) == "+0.5 [−0.5, +1.5]"
    assert numbers.gap(Missing(2, 3, "seed", "1 failed")) == "missing (2 of 3 seeds (1 failed))"


def test_gaps_are_told_in_the_metrics_unit() -> None:
    assert numbers.gap(around(-12.5, 2), "rank_distance") == "−12.5 [−14.5, −10.5]"
    assert (numbers.unit_of_gaps("rank_distance"), numbers.unit_of_gaps("accuracy")) == ("ranks", "points")


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(0.0006, 0.0003, 0.0009), "+0.06 [+0.03, +0.09]"),
        (Estimate(0.001, 0.000004, 0.002), "+0.1000 [+0.0004, +0.2000]"),
        (Estimate(-0.02, -0.04, -0.0002), "−2.00 [−4.00, −0.02]"),
        (Estimate(0.0, 0.0, 0.0), "0.0 [0.0, 0.0]"),
        (Estimate(0.01, 0.0, 0.02), "+1.0 [0.0, +2.0]"),
    ],
)
def test_a_bound_beside_zero_is_not_written_as_zero(estimate: Estimate, words: str) -> None:
    assert numbers.gap(estimate) == words


def test_lists_and_counts() -> None:
    assert [numbers.listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert (numbers.count(1, "seed"), numbers.count(3, "seed")) == ("1 seed", "3 seeds")
    assert (numbers.span({2}), numbers.span({14, 2})) == ("2", "2–14")


def test_metrics_have_names() -> None:
    names = ("squad_mean", "span_f1", "mean_average_precision_20", "recall_at_10", "ndcg_at_10", "rank_distance")
    words = ("SQuAD mean of F1 and EM", "span F1", "mAP@20", "recall@10", "nDCG@10", "rank distance")
    assert tuple(map(numbers.metric_name, names)) == words
