"""Pearson's and Spearman's correlations: their values against SciPy's, their items' parts against resampling."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from adapterx.tasks.metrics import majority_baseline, metric, scoring

Array = NDArray[np.float64]
ORACLES = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}


def score(name: str, gold: Array, prediction: Array) -> float:
    one = metric(name, (), "anything", False)
    return float(one.value(one.statistics(gold.tolist(), prediction.tolist()).sum(0)))


def theirs(name: str, gold: Array, prediction: Array) -> float:
    return float(ORACLES[name](gold, prediction).statistic)


def drawn(seed: int, items: int = 200, ties: bool = False) -> tuple[Array, Array]:
    """Right and predicted numbers that agree in part."""
    random = np.random.default_rng(seed)
    gold = random.gamma(2.0, size=items)
    prediction = gold + random.normal(size=items)
    return (gold.round(), prediction.round()) if ties else (gold, prediction)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("ties", [False, True], ids=["no-ties", "ties"])
@pytest.mark.parametrize("seed", range(4))
def test_a_correlation_is_scipys(name: str, ties: bool, seed: int) -> None:
    gold, prediction = drawn(seed, ties=ties)
    assert score(name, gold, prediction) == pytest.approx(theirs(name, gold, prediction), abs=1e-9)
    assert score(name, gold, -prediction) == pytest.approx(theirs(name, gold, -prediction), abs=1e-9)
    assert score(name, 1e5 + gold, 3 * prediction - 7) == pytest.approx(theirs(name, gold, prediction), abs=1e-6)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("ties", [False, True], ids=["no-ties", "ties"])
def test_what_an_item_adds_is_what_leaving_it_out_takes(name: str, ties: bool) -> None:
    """The influence of an item is the limit of the jackknife's pseudo-values (Efron & Tibshirani 1993, chapter 11)."""
    gold, prediction = drawn(11, 400, ties)
    one = metric(name, (), "anything", False)
    parts = one.statistics(gold.tolist(), prediction.tolist())[:, 0]
    whole = theirs(name, gold, prediction)
    keep = ~np.eye(len(gold), dtype=bool)
    left = np.array([theirs(name, gold[mask], prediction[mask]) for mask in keep])
    pseudo = len(gold) * whole - (len(gold) - 1) * left
    assert parts.mean() == pytest.approx(whole, abs=1e-9)
    assert np.corrcoef(parts, pseudo)[0, 1] > 0.999
    assert parts.std() == pytest.approx(pseudo.std(), rel=0.05)


@pytest.mark.parametrize("name", ORACLES)
def test_its_standard_error_is_that_of_resampled_items(name: str) -> None:
    gold, prediction = drawn(5, 500)
    one = metric(name, (), "anything", False)
    parts = one.statistics(gold.tolist(), prediction.tolist())[:, 0]
    random = np.random.default_rng(0)
    chosen = random.integers(len(gold), size=(1000, len(gold)))
    resampled = [theirs(name, gold[rows], prediction[rows]) for rows in chosen]
    assert parts.std() / np.sqrt(len(gold)) == pytest.approx(np.std(resampled), rel=0.1)


@pytest.mark.parametrize("name", ORACLES)
def test_one_answer_to_everything_correlates_with_nothing(name: str) -> None:
    gold = np.arange(10.0)
    assert score(name, gold, np.full(10, 3.7)) == 0
    assert score(name, np.full(10, 0.1), gold) == 0
    assert majority_baseline(metric(name, (), "anything", False), gold.tolist(), "en") == 0
    assert score(name, gold[:1], gold[:1]) == 0
    assert scoring(name).unit.factor == 100


def test_lists_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        metric("pearson", (), "anything", False).statistics([1.0, 2.0], [1.0])
