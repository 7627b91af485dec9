"""Batches that take turns: how many of each kind, whose examples, and that any step can be sought."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from adapterx.tasks.turns import Turns, TurnSampler

SIZES = [40, 60, 40, 60, 30]
"""Two languages, the same with pairs, and text."""
DRAWN = [0.4, 0.6, 0.4, 0.6, 1.0]


def turns(monolingual: float, text: float = 0.0) -> Turns:
    shares = (monolingual * 0.4, monolingual * 0.6, 1 - monolingual)
    return Turns(((0,), (1,), (2, 3)), shares, (0, 1), (4,) if text else (), text)


def sampler(monolingual: float, text: float = 0.0, batch: int = 6, seed: int = 1) -> TurnSampler:
    return TurnSampler(SIZES, DRAWN, batch, seed, turns(monolingual, text))


@pytest.mark.parametrize("monolingual", [0.0, 0.25, 0.5, 1.0])
def test_so_many_batches_are_of_one_language(monolingual: float) -> None:
    steps, drawn = 4000, sampler(monolingual)
    alone = 0
    for step in range(steps):
        pools = {pool for pool, _ in drawn.batch(step)}
        assert len(pools) == 1 or pools <= {2, 3}
        assert drawn.group(step) == (2 if pools <= {2, 3} else next(iter(pools)))
        alone += pools <= {0, 1}
    spread = 4 * math.sqrt(steps * monolingual * (1 - monolingual))
    assert abs(alone - steps * monolingual) <= spread


def test_the_language_of_a_batch_and_of_a_pair_is_drawn_by_its_share() -> None:
    drawn = sampler(0.5)
    groups = [drawn.group(step) for step in range(4000)]
    assert groups.count(1) / (groups.count(0) + groups.count(1)) == pytest.approx(0.6, abs=0.045)
    pairs = [pool for step in range(1000) for pool, _ in drawn.batch(step) if pool >= 2]
    assert pairs.count(3) / len(pairs) == pytest.approx(0.6, abs=0.04)


@pytest.mark.parametrize(
    ("share", "first"), [(0.2, [4, 9, 14]), (0.5, [1, 3, 5]), (1 / 3, [2, 5, 8]), (0.75, [1, 2, 3])]
)
def test_text_comes_at_even_distances(share: float, first: list[int]) -> None:
    drawn = sampler(0.5, share)
    text = [step for step in range(3000) if drawn.group(step) == 3]
    assert text[:3] == first and abs(len(text) - 3000 * share) <= 1
    assert {after - before for before, after in pairwise(text)} <= {math.floor(1 / share), math.ceil(1 / share)}
    assert all({pool for pool, _ in drawn.batch(step)} == {4} for step in text[:50])
    labelled = [step for step in range(300) if drawn.group(step) != 3]
    assert all(pool != 4 for step in labelled for pool, _ in drawn.batch(step))


def test_every_pool_is_walked_in_shuffled_epochs_of_its_own() -> None:
    drawn, walked = sampler(0.5, 0.2), {pool: list[int]() for pool in range(5)}
    for step in range(600):
        for pool, example in drawn.batch(step):
            walked[pool].append(example)
    for pool, size in enumerate(SIZES):
        first, second = walked[pool][:size], walked[pool][size : 2 * size]
        assert sorted(first) == sorted(second) == list(range(size)) and first != second


@pytest.mark.parametrize("batch", [1, 6, 7, 40_000])
def test_any_step_can_be_sought(batch: int) -> None:
    steps = 3 if batch > 1000 else 12_000 if batch == 1 else 6_000
    walked, sought = sampler(0.5, 0.2, batch), sampler(0.5, 0.2, batch)
    last = [walked.batch(step) for step in range(steps)][-1]
    assert sought.batch(steps - 1) == last and len(last) == batch
    assert sought.batch(0) == walked.batch(0)


def test_seeds_draw_differently() -> None:
    one, other = sampler(0.5, seed=1), sampler(0.5, seed=2)
    assert [one.group(step) for step in range(50)] != [other.group(step) for step in range(50)]


def test_an_epoch_passes_over_what_is_labelled_and_alone() -> None:
    assert sampler(0.5).steps(3) == 50
    assert sampler(0.5, 0.2).steps(3) == 63, "a fifth of the steps is text's, on top"
    assert sampler(1.0).steps(0.001) == 1


@pytest.mark.parametrize(
    ("groups", "shares", "text", "share"),
    [
        ((), (), (), 0.0),
        (((0,), ()), (1.0, 1.0), (), 0.0),
        (((0,),), (1.0, 1.0), (), 0.0),
        (((0,),), (0.0,), (), 0.0),
        (((0,), (1,)), (2.0, -1.0), (), 0.0),
        (((0,),), (1.0,), (1,), 0.0),
        (((0,),), (1.0,), (), 0.5),
        (((0,),), (1.0,), (1,), 1.0),
    ],
)
def test_turns_that_make_no_sense(
    groups: tuple[tuple[int, ...], ...], shares: tuple[float, ...], text: tuple[int, ...], share: float
) -> None:
    with pytest.raises(ValueError, match=r"turns|share"):
        Turns(groups, shares, (0,), text, share)
