"""Scores of rankings and mined pairs, against ranked lists written out, and scikit-learn where it has the metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, ndcg_score

from adapterx.tasks.catalog import find
from adapterx.tasks.metrics import majority_baseline, metric, unit
from adapterx.tasks.metrics_retrieval import RANKING_NAMES
from adapterx.tasks.spec import TaskSpec

Ranked = list[int]
"""Places of all candidates, the nearest first."""


def average_precision(ranked: Ranked, relevant: set[int], cut: int | None = None) -> float:
    hits, total = 0, 0.0
    for at, place in enumerate(ranked[:cut], start=1):
        if place in relevant:
            hits += 1
            total += hits / at
    return total / min(len(relevant), cut or len(relevant))


def recall(ranked: Ranked, relevant: set[int], cut: int) -> float:
    return len(relevant & set(ranked[:cut])) / len(relevant)


def ndcg(ranked: Ranked, relevant: set[int], cut: int) -> float:
    gain = sum(1 / math.log2(at + 1) for at, place in enumerate(ranked[:cut], start=1) if place in relevant)
    return gain / sum(1 / math.log2(at + 1) for at in range(1, min(len(relevant), cut) + 1))


def distance(ranked: Ranked, relevant: set[int]) -> float:
    ranks = [ranked.index(place) for place in relevant]
    return max(ranks) - min(ranks)


FORMULAS: dict[str, Callable[[Ranked, set[int]], float]] = {
    "retrieval_accuracy": lambda ranked, relevant: ranked[0] in relevant,
    "mean_average_precision": average_precision,
    "mean_average_precision_20": lambda ranked, relevant: average_precision(ranked, relevant, 20),
    "recall_at_1": lambda ranked, relevant: recall(ranked, relevant, 1),
    "recall_at_10": lambda ranked, relevant: recall(ranked, relevant, 10),
    "recall_at_100": lambda ranked, relevant: recall(ranked, relevant, 100),
    "ndcg_at_10": lambda ranked, relevant: ndcg(ranked, relevant, 10),
    "rank_distance": distance,
}


def searched(seed: int, queries: int = 40, candidates: int = 150) -> list[tuple[Ranked, list[int]]]:
    """Ranked lists with one to 30 relevant places, in no order."""
    random = np.random.default_rng(seed)
    found = []
    for at in range(queries):
        relevant = random.choice(candidates, 1 + at % 30, replace=False)
        likeness = random.normal(size=candidates)
        likeness[relevant] += 2
        found.append((np.argsort(-likeness).tolist(), relevant.tolist()))
    return found


def answers(found: Sequence[tuple[Ranked, list[int]]]) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Gold and predictions of ranked lists."""
    gold = [np.array(relevant) for _, relevant in found]
    said = [np.array([ranked[0], *(ranked.index(place) + 1 for place in relevant)]) for ranked, relevant in found]
    return gold, said


@pytest.mark.parametrize("name", RANKING_NAMES)
def test_a_score_is_that_of_the_ranked_list(name: str) -> None:
    found = searched(1)
    statistics = metric(name, ()).statistics(*answers(found))
    expected = [FORMULAS[name](ranked, set(relevant)) for ranked, relevant in found]
    np.testing.assert_allclose(statistics[:, 0], expected)
    assert (statistics[:, 1] == 1).all()
    assert metric(name, ()).value(statistics.sum(axis=0)) == pytest.approx(np.mean(expected))


def test_average_precision_and_ndcg_are_scikit_learns() -> None:
    found = searched(2)
    scores = {
        name: metric(name, ()).statistics(*answers(found))[:, 0] for name in ("mean_average_precision", "ndcg_at_10")
    }
    for at, (ranked, relevant) in enumerate(found):
        truth = np.isin(np.arange(len(ranked)), relevant).astype(int)
        likeness = -np.argsort(ranked).astype(float)
        assert scores["mean_average_precision"][at] == pytest.approx(average_precision_score(truth, likeness))
        assert scores["ndcg_at_10"][at] == pytest.approx(ndcg_score([truth], [likeness], k=10))


@pytest.mark.parametrize("name", [*RANKING_NAMES, "pair_f1"])
def test_a_bootstrap_is_a_matrix_product(name: str) -> None:
    gold, said = mined(3)[2:] if name == "pair_f1" else answers(searched(3))
    one = metric(name, ())
    draws = np.random.default_rng(0).integers(0, len(gold), (5, len(gold)))
    weights = np.stack([np.bincount(draw, minlength=len(gold)) for draw in draws])
    together = one.value(weights @ one.statistics(gold, said))
    for draw, value in zip(draws, together, strict=True):
        again = one.statistics([gold[i] for i in draw], [said[i] for i in draw])
        assert one.value(again.sum(axis=0)) == pytest.approx(value)


def mined(seed: int, sentences: int = 60) -> tuple[set[str], set[str], list[list[str]], list[str]]:
    """Gold and predicted pairs as sets, and as what is right and what is said of each source sentence."""
    random = np.random.default_rng(seed)
    right = [[f"en-{at}"] if random.random() < 0.5 else [] for at in range(sentences)]
    said = [f"en-{at + int(random.random() < 0.3)}" if random.random() < 0.6 else "" for at in range(sentences)]
    pairs = {f"de-{at}\t{one}" for at, ids in enumerate(right) for one in ids}
    return pairs, {f"de-{at}\t{one}" for at, one in enumerate(said) if one}, right, said


def test_pair_f1_is_that_of_the_sets_of_pairs() -> None:
    for seed in range(10):
        gold, found, right, said = mined(seed)
        every = sorted(gold | found)
        expected = f1_score([pair in gold for pair in every], [pair in found for pair in every])
        one = metric("pair_f1", ())
        assert one.value(one.statistics(right, said).sum(axis=0)) == pytest.approx(expected)


def test_nothing_mined_and_nothing_to_mine() -> None:
    one = metric("pair_f1", ())
    assert one.value(one.statistics([["a"], []], ["", ""]).sum(axis=0)) == 0
    assert one.value(one.statistics([], []).sum(axis=0)) == 0
    assert one.statistics([["a", "b", "a"]], ["b"]).tolist() == [[1, 1, 2]]


def test_the_baseline_leaves_candidates_in_their_order_and_mines_nothing() -> None:
    gold = [np.array([0]), np.array([4, 1]), np.array([200])]
    listed = list(range(300))
    for name in RANKING_NAMES:
        expected = np.mean([FORMULAS[name](listed, set(places.tolist())) for places in gold])
        assert majority_baseline(metric(name, ()), gold) == pytest.approx(expected)
    assert majority_baseline(metric("pair_f1", ()), [["a"], []]) == 0


def test_a_prediction_has_the_nearest_and_a_rank_for_each_relevant_candidate() -> None:
    one = metric("recall_at_1", ())
    with pytest.raises(ValueError, match="query 1: a prediction is the nearest place and the rank of each of 2"):
        one.statistics([np.array([3]), np.array([3, 4])], [np.array([3, 1]), np.array([3, 1])])
    with pytest.raises(ValueError, match="query 1 has no relevant candidate"):
        one.statistics([np.array([3]), np.array([], int)], [np.array([3, 1]), np.array([3])])
    assert one.value(one.statistics([], []).sum(axis=0)) == 0


def test_what_is_better_when_lower_is_no_first_metric() -> None:
    content = find("xnli").model_dump()
    with pytest.raises(ValueError, match="rank_distance is better when lower, so it cannot be the first metric"):
        TaskSpec.model_validate({**content, "metrics": ("rank_distance",)})


def test_rank_distance_alone_is_in_ranks_and_better_when_lower() -> None:
    assert [name for name in RANKING_NAMES if unit(name).better == "lower"] == ["rank_distance"]
    assert unit("rank_distance").factor == 1
    assert unit("recall_at_1").factor == 100
