from __future__ import annotations

import numpy as np
import pytest

from adapterx.tasks.sampling import (
    Sampler,
    pool_probabilities,
    two_level_probabilities,
    unimax_probabilities,
    weighted_probabilities,
)


def test_temperature_and_cap_follow_the_formula() -> None:
    assert pool_probabilities([100, 300]).tolist() == [0.25, 0.75]
    assert pool_probabilities([100, 300], cap=100).tolist() == [0.5, 0.5]
    assert pool_probabilities([100, 400], temperature=2).tolist() == pytest.approx([1 / 3, 2 / 3])
    assert pool_probabilities([1, 1000], temperature=float("inf")).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_above_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        pool_probabilities([1], temperature)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        pool_probabilities([3, 0])
    with pytest.raises(ValueError, match="pools with examples"):
        Sampler([3, 0], [0.5, 0.5], 2, seed=1)


def test_one_pool_is_walked_in_shuffled_epochs_without_gaps() -> None:
    sampler = Sampler([10], [1.0], 4, seed=7)
    walk = [example for step in range(5) for _, example in sampler.batch(step)]
    first, second = walk[:10], walk[10:20]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))


def test_whole_epochs_end_with_a_short_batch() -> None:
    sampler = Sampler([10], [1.0], 4, seed=7, whole_epochs=True)
    assert sampler.steps(epochs=2) == 6
    assert [len(sampler.batch(step)) for step in range(6)] == [4, 4, 2, 4, 4, 2]
    for epoch in (0, 1):
        assert sorted(example for step in range(3) for _, example in sampler.batch(3 * epoch + step)) == list(range(10))


def test_steps_of_a_fraction_and_of_several_pools() -> None:
    assert Sampler([10], [1.0], 4, seed=1, whole_epochs=True).steps(0.1) == 1
    assert Sampler([10, 30], [0.5, 0.5], 8, seed=1).steps(2) == 10


@pytest.mark.parametrize("sizes", [[10], [3, 50, 7]])
def test_seeking_equals_walking(sizes: list[int]) -> None:
    probabilities = pool_probabilities(sizes, 2)
    walked = Sampler(sizes, probabilities, 33, seed=3)
    path = [walked.batch(step) for step in range(2100)]
    for step in (0, 992, 993, 1000, 1986, 2099):
        assert Sampler(sizes, probabilities, 33, seed=3).batch(step) == path[step]
    assert walked.batch(5) == path[5]


def test_each_of_several_pools_is_walked_in_epochs_of_its_own() -> None:
    sizes = [3, 50, 7]
    sampler = Sampler(sizes, [0.2, 0.5, 0.3], 16, seed=5)
    walks: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for step in range(2500):
        batch = sampler.batch(step)
        assert len(batch) == 16
        for pool, example in batch:
            walks[pool].append(example)
    for pool, walk in walks.items():
        epochs = [walk[i : i + sizes[pool]] for i in range(0, len(walk) - sizes[pool], sizes[pool])]
        assert all(sorted(epoch) == list(range(sizes[pool])) for epoch in epochs)
    shares = [len(walk) / 40000 for walk in walks.values()]
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.01)


def test_seeds_differ_and_a_seed_is_what_it_always_was() -> None:
    batches = [Sampler([1000, 50], [0.6, 0.4], 5, seed=seed).batch(2) for seed in (1, 2)]
    assert batches[0] != batches[1]
    # Written down once: training data of a stored stage must not change under its identity.
    assert batches[0] == [(0, 602), (0, 182), (0, 118), (1, 1), (1, 26)]


def test_a_pool_of_probability_zero_is_never_drawn() -> None:
    sampler = Sampler([5, 5, 5], np.array([0.5, 0.0, 0.5]), 64, seed=1)
    assert {pool for step in range(50) for pool, _ in sampler.batch(step)} == {0, 2}


def test_weights_divide_the_draws_by_task_and_sizes_those_of_a_task_by_language() -> None:
    assert weighted_probabilities([[1000], [10]], [1, 3]).tolist() == [0.25, 0.75]
    assert weighted_probabilities([[30, 10], [7]], [2, 2]).tolist() == [0.375, 0.125, 0.5]


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1], [1, float("inf")], [1, float("nan")]])
def test_every_task_needs_a_weight_above_zero(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="2 tasks need as many weights above 0"):
        weighted_probabilities([[3], [4]], weights)


@pytest.mark.parametrize("sizes", [[], [[3], []], [[3], [0]]])
def test_weights_fill_no_empty_pool(sizes: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one example"):
        weighted_probabilities(sizes, [1.0] * len(sizes))


def test_unimax_draws_alike_what_is_large_and_no_small_pool_too_often() -> None:
    # A budget of 300: the pool of 10 may be passed over 4 times; the others share the 260 that are left.
    found = unimax_probabilities([1000, 10, 500], epochs=4, budget=300)
    assert found.tolist() == pytest.approx([130 / 300, 40 / 300, 130 / 300])
    assert unimax_probabilities([1000, 900], epochs=4, budget=300).tolist() == [0.5, 0.5]
    every = unimax_probabilities([30, 10], epochs=1, budget=1e9)
    assert every.tolist() == pytest.approx([0.75, 0.25]), "more than there is: in proportion"
    for sizes, epochs, budget in (([3, 0], 1, 9), ([3], 0, 9), ([3], 1, 0)):
        with pytest.raises(ValueError, match=r"at least one example|above 0"):
            unimax_probabilities(sizes, epochs, budget)


def test_languages_have_a_temperature_of_their_own() -> None:
    sizes = [[100, 900], [500]]
    found = two_level_probabilities(sizes, 1.0, None, float("inf"), None)
    assert found.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    found = two_level_probabilities(sizes, 1.0, 500, 2.0, None)
    assert found.tolist() == pytest.approx([0.5 * 0.25, 0.5 * 0.75, 0.5])
    found = two_level_probabilities(sizes, 1.0, None, 1.0, [1, 3])
    assert found.tolist() == pytest.approx([0.025, 0.225, 0.75])
