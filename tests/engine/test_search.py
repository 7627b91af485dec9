"""Rankings and mined pairs equal what plain loops over all pairs find, whatever the size of a block."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adapterx.engine.search import Pairs, Similarity, mine, normalised, rank, threshold

BLOCKS = (1, 40, 1 << 20)


def texts(count: int, seed: int, width: int = 6) -> torch.Tensor:
    """Vectors of lengths that only a cosine does not mind."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(
        (random.normal(size=(count, width)) * random.uniform(0.1, 9, (count, 1))).astype(np.float32)
    )


def cosines(queries: torch.Tensor, candidates: torch.Tensor) -> NDArray[np.float64]:
    left, right = (one.double().numpy() for one in (queries, candidates))
    left, right = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (left, right))
    return np.asarray(left @ right.T)


def margins(queries: torch.Tensor, candidates: torch.Tensor, k: int) -> NDArray[np.float64]:
    """Artetxe & Schwenk 2019, equation 3 with the ratio, written out."""
    cosine = cosines(queries, candidates)
    found = np.zeros_like(cosine)
    for i in range(len(queries)):
        for j in range(len(candidates)):
            near = np.sort(cosine[i])[::-1][:k].sum() / (2 * k) + np.sort(cosine[:, j])[::-1][:k].sum() / (2 * k)
            found[i, j] = cosine[i, j] / near
    return found


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("margin", [False, True])
def test_ranks_are_those_of_all_pairs_compared(margin: bool, block: int) -> None:
    queries, candidates = texts(13, 1).abs(), texts(29, 2).abs()
    random = np.random.default_rng(3)
    relevant = [random.choice(29, size=n % 4, replace=False) for n in range(13)]
    found = rank(normalised(queries.clone()), normalised(candidates.clone()), relevant, Similarity(margin, 4), block)
    scores = margins(queries, candidates, 4) if margin else cosines(queries, candidates)
    np.testing.assert_array_equal(found.nearest, scores.argmax(axis=1))
    np.testing.assert_allclose(found.score, scores.max(axis=1), rtol=1e-5)
    for line, places, ranks in zip(scores, relevant, found.ranks, strict=True):
        order = np.argsort(-line, kind="stable").tolist()
        assert ranks.tolist() == [order.index(place) + 1 for place in places]


def test_a_query_that_is_no_number_finds_nothing_first() -> None:
    found = rank(torch.full((1, 4), torch.nan), normalised(texts(3, 1, 4)), [np.array([1])], Similarity())
    assert found.ranks[0].tolist() == [3]


def test_of_equal_candidates_the_first_comes_first() -> None:
    same = torch.ones(1, 4)
    found = rank(same, same.expand(3, 4), [np.array([2, 0, 1])], Similarity())
    assert found.nearest.tolist() == [0]
    assert found.ranks[0].tolist() == [3, 1, 2]


@pytest.mark.parametrize("block", BLOCKS)
def test_mined_pairs_are_those_of_lasers_miner(block: int) -> None:
    queries, candidates = texts(21, 4), texts(17, 5)
    candidates[:8] = 2 * queries[3:11]
    cosine, k = cosines(queries, candidates), 4
    means = [np.sort(side, axis=1)[:, ::-1][:, :k].mean(axis=1) for side in (cosine, cosine.T)]
    pairs = []
    for i in range(21):
        near = np.argsort(-cosine[i])[:k]
        score, j = max((cosine[i, j] / ((means[0][i] + means[1][j]) / 2), int(j)) for j in near)
        pairs.append((score, i, j))
    for j in range(17):
        near = np.argsort(-cosine[:, j])[:k]
        score, i = max((cosine[i, j] / ((means[0][i] + means[1][j]) / 2), int(i)) for i in near)
        pairs.append((score, i, j))
    expected: list[tuple[int, int]] = []
    for _, i, j in sorted(pairs, reverse=True):
        if all(i != other and j != another for other, another in expected):
            expected.append((i, j))
    found = mine(normalised(queries), normalised(candidates), Similarity(margin=True, neighbours=k), block)
    assert list(zip(found.queries.tolist(), found.candidates.tolist(), strict=True)) == expected
    assert {(i + 3, i) for i in range(8)} <= set(expected)


def test_nothing_is_mined_from_nothing() -> None:
    assert len(mine(texts(0, 1), texts(3, 1), Similarity(True)).scores) == 0


def test_a_threshold_gives_the_best_f1_that_any_does() -> None:
    random = np.random.default_rng(7)
    scores = np.sort(random.uniform(0.5, 1.5, 40).astype(np.float32))[::-1]
    right = random.uniform(size=40) < np.linspace(0.9, 0.1, 40)
    found = threshold(Pairs(np.arange(40), np.arange(40), scores), 30, right)

    def f1(least: float) -> float:
        taken = scores >= least
        return float(2 * right[taken].sum() / (taken.sum() + 30))

    assert f1(found) == max(f1(float(least)) for least in [*scores, 0.0])


def test_where_no_pair_is_right_none_is_taken() -> None:
    pairs = Pairs(np.arange(2), np.arange(2), np.array([0.9, 0.8], np.float32))
    assert threshold(pairs, 2, np.zeros(2, bool)) == float("inf")
