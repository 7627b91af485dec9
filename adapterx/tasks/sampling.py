"""Which examples a training step sees: a pure function of the seed and the step, so that resuming is seeking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Batch: TypeAlias = list[tuple[int, int]]

# Purposes keep the random streams of one seed apart; `turns` has a third.
_ORDER, POOL = 1, 2
# Pool draws are counted in blocks of this many, so that reaching step s costs s · batch_size / BLOCK small passes.
BLOCK = 1 << 15


def pool_probabilities(sizes: Sequence[int], temperature: float = 1.0, cap: int | None = None) -> NDArray[np.float64]:
    """How often each (task, language) pool is drawn: p_i ∝ min(n_i, cap)^(1 / temperature), (pools,).

    jiant's TemperatureMultiTaskSampler (nyu-mll/jiant, jiant/proj/main/components/task_sampler.py). An infinite
    temperature is uniform, 1 without a cap proportional. ValueError for empty pools or a temperature not above 0.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError("every pool needs at least one example")
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} is not above 0")
    capped = np.minimum(np.asarray(sizes, dtype=np.float64), np.inf if cap is None else cap)
    weights = capped ** (1.0 / temperature)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def weighted_probabilities(sizes: Sequence[Sequence[int]], weights: Sequence[float]) -> NDArray[np.float64]:
    """How often each pool is drawn where tasks have fixed weights, (pools,), task after task.

    p = w / Σ w · n / Σ n, the second sum over the pools (languages) of the same task.

    Args:
        sizes: examples by task and pool.
        weights: one per task, in any unit.

    Raises ValueError for empty pools and for weights that are not above 0 and finite, or not one per task.
    """
    if not sizes or min(min(pools, default=0) for pools in sizes) < 1:
        raise ValueError("every pool needs at least one example")
    if len(weights) != len(sizes) or not all(0 < weight < math.inf for weight in weights):
        raise ValueError(f"{len(sizes)} tasks need as many weights above 0, not {list(weights)}")
    shares = np.asarray(weights, dtype=np.float64) / math.fsum(weights)
    within = [np.asarray(pools, dtype=np.float64) / sum(pools) for pools in sizes]
    return np.concatenate([share * of_task for share, of_task in zip(shares, within, strict=True)])


def two_level_probabilities(
    sizes: Sequence[Sequence[int]], temperature: float, cap: int | None, within: float, weights: Sequence[float] | None
) -> NDArray[np.float64]:
    """How often each pool is drawn where a task's share is one matter and its languages' another, (pools,).

    A task has min(Σ n, cap)^(1 / temperature), or its weight; each of its pools n^(1 / within) of that, as XLM-R's
    languages were drawn with an exponent of 0.3 (Conneau et al. 2020, section 3.1): `within` 1 / 0.3.

    Args:
        sizes: examples by task and pool.

    Raises ValueError as `pool_probabilities` and `weighted_probabilities` do.
    """
    totals = [sum(pools) for pools in sizes]
    if weights is not None:
        shares = weighted_probabilities([[total] for total in totals], weights)
    else:
        shares = pool_probabilities(totals, temperature, cap)
    return np.concatenate(
        [share * pool_probabilities(pools, within) for share, pools in zip(shares, sizes, strict=True)]
    )


def unimax_probabilities(sizes: Sequence[int], epochs: float, budget: float) -> NDArray[np.float64]:
    """How often each pool is drawn if all are to be drawn alike, but none more than so many times over, (pools,).

    UniMax (Chung et al. 2023, arXiv 2304.09151, algorithm 1), in examples where they count characters: from the
    smallest pool on, each has an equal part of what is left of the budget, or all that its epochs allow.

    Args:
        epochs: passes over a pool at most.
        budget: examples drawn in all. Where it is more than all pools allow, each is drawn in proportion to its size.

    Raises ValueError for empty pools, and for epochs or a budget not above 0.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError("every pool needs at least one example")
    if not (epochs > 0 and budget > 0):
        raise ValueError(f"UniMax needs epochs and a budget above 0, not {epochs:g} and {budget:g}")
    parts, left = np.zeros(len(sizes)), float(budget)
    for done, place in enumerate(np.argsort(sizes, kind="stable").tolist()):
        parts[place] = min(left / (len(sizes) - done), epochs * sizes[place])
        left -= parts[place]
    return np.asarray(parts / parts.sum(), dtype=np.float64)


class Sampler:
    """Batches of (pool, example index) for every step.

    One pool: its examples in shuffled epochs. Several: each place of a batch draws its pool by `probabilities`, and
    every pool is walked in shuffled epochs of its own.
    Batches have exactly `batch_size` places, running on into the next epoch, except that with `whole_epochs` and one
    pool an epoch ends with a shorter batch, as a plain data loader's does.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        probabilities: Sequence[float] | NDArray[np.float64],
        batch_size: int,
        seed: int,
        whole_epochs: bool = False,
    ) -> None:
        if len(sizes) != len(probabilities) or not sizes or min(sizes) < 1 or batch_size < 1:
            raise ValueError("a sampler needs pools with examples, one probability each, and a batch size of 1 or more")
        self._sizes = tuple(int(size) for size in sizes)
        self._cumulative = np.cumsum(np.asarray(probabilities, dtype=np.float64))
        self._cumulative /= self._cumulative[-1]
        self._batch_size = batch_size
        self._seed = seed
        self._short = whole_epochs and len(sizes) == 1
        self._block = BLOCK
        self._counts = [np.zeros(len(sizes), dtype=np.int64)]  # draws of each pool before block k
        self._order = lru_cache(maxsize=2 * len(sizes) + 2)(self._shuffled)
        self._draws = lru_cache(maxsize=2)(self._drawn)

    def steps(self, epochs: float) -> int:
        """Number of steps in that many passes over all pools, at least 1."""
        if self._short:
            return max(1, math.ceil(epochs * math.ceil(self._sizes[0] / self._batch_size)))
        return max(1, math.ceil(epochs * sum(self._sizes) / self._batch_size))

    def batch(self, step: int) -> Batch:
        """The examples of a step, counted from 0."""
        if len(self._sizes) == 1:
            return [(0, self._example(0, place)) for place in self._places(step)]
        pools, ordinals = self._pools(step * self._batch_size, (step + 1) * self._batch_size)
        return [(pool, self._example(pool, place)) for pool, place in zip(pools, ordinals, strict=True)]

    def _places(self, step: int) -> range:
        """Positions, in the endless walk through the one pool, that a step covers."""
        if not self._short:
            return range(step * self._batch_size, (step + 1) * self._batch_size)
        size = self._sizes[0]
        epoch, within = divmod(step, math.ceil(size / self._batch_size))
        start = within * self._batch_size
        return range(epoch * size + start, epoch * size + min(start + self._batch_size, size))

    def _example(self, pool: int, place: int) -> int:
        epoch, within = divmod(place, self._sizes[pool])
        return int(self._order(pool, epoch)[within])

    def _pools(self, start: int, stop: int) -> tuple[list[int], list[int]]:
        """For draws start … stop: the pool, and how many draws of that pool came before."""
        block = start // self._block
        while len(self._counts) <= block:
            drawn = self._draws(len(self._counts) - 1)
            self._counts.append(self._counts[-1] + np.bincount(drawn, minlength=len(self._sizes)))
        walked = np.concatenate([self._draws(b) for b in range(block, (stop - 1) // self._block + 1)])
        before, wanted = np.split(walked[: stop - block * self._block], [start - block * self._block])
        seen = self._counts[block] + np.bincount(before, minlength=len(self._sizes))
        ordinals = []
        for pool in wanted:
            ordinals.append(int(seen[pool]))
            seen[pool] += 1
        return [int(pool) for pool in wanted], ordinals

    def _drawn(self, block: int) -> NDArray[np.int64]:
        return np.searchsorted(self._cumulative, uniform(self._seed, (POOL, block), BLOCK), side="right").astype(
            np.int64
        )

    def _shuffled(self, pool: int, epoch: int) -> NDArray[np.int64]:
        return np.argsort(_words(self._seed, (_ORDER, pool, epoch), self._sizes[pool]), kind="stable")


def uniform(seed: int, purpose: tuple[int, ...], count: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), a function of the seed and the purpose."""
    # 53 random bits each, from raw words: numpy keeps those the same from version to version.
    return np.asarray((_words(seed, purpose, count) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def _words(seed: int, purpose: tuple[int, ...], count: int) -> NDArray[np.uint64]:
    generator = np.random.Philox(np.random.SeedSequence(seed, spawn_key=purpose))
    return np.asarray(generator.random_raw(count), dtype=np.uint64)
