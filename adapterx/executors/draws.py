"""How a training draws its pools: how often each, and which of them take turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapterx.engine.cell import Pool, TaskData
from adapterx.plan import Training
from adapterx.tasks.sampling import (
    pool_probabilities,
    two_level_probabilities,
    unimax_probabilities,
    weighted_probabilities,
)
from adapterx.tasks.turns import Turns


def probabilities(tasks: Sequence[TaskData], work: Training) -> NDArray[np.float64]:
    """How often each training pool is drawn, over the pools of all tasks in order.

    Pairs of languages are drawn as the examples of their first language, and text that has steps of its own as if there
    were nothing else; how these compare with the rest is up to `turns`.
    """
    learnt = {place: [pool for pool in task.train if not pool.paired] for place, task in enumerate(tasks)}
    beside = [place for place in learnt if work.text_share and tasks[place].head.kind.drawn]
    together = [place for place in learnt if place not in beside]
    found: dict[int, NDArray[np.float64]] = {}
    for places in (together, beside):
        if places:
            sizes = [[len(pool.data) for pool in learnt[place]] for place in places]
            names = [work.tasks[place].task for place in places]
            drawn = _drawn(sizes, names, work, weighted=places is together)
            found |= dict(zip(places, np.split(drawn, np.cumsum([len(one) for one in sizes])[:-1]), strict=True))
    own = [np.concatenate([found[place], *_pairs(task, found[place])]) for place, task in enumerate(tasks)]
    drawn = np.concatenate(own)
    if work.batches is not None and work.batches.languages == "uniform":
        drawn = _alike([pool for task in tasks for pool in task.train], drawn)
    return drawn


def turns(tasks: Sequence[TaskData], drawn: NDArray[np.float64], work: Training) -> Turns | None:
    """Which pools take turns; None where every example of a batch is drawn by itself.

    Args:
        drawn: what `probabilities` gives.
    """
    if work.batches is None and not work.text_share:
        return None
    pools = [(task, pool) for task in tasks for pool in task.train]
    text = tuple(place for place, (task, _) in enumerate(pools) if work.text_share and task.head.kind.drawn)
    pairs = tuple(place for place, (_, pool) in enumerate(pools) if pool.paired)
    counted = tuple(place for place in range(len(pools)) if place not in {*text, *pairs})
    if work.batches is None:
        return Turns((counted,), (1.0,), counted, text, work.text_share)
    languages = dict.fromkeys(pools[place][1].language for place in counted)
    alone = [tuple(place for place in counted if pools[place][1].language == code) for code in languages]
    shares = [float(drawn[list(group)].sum()) for group in alone]
    monolingual = work.batches.monolingual
    groups = tuple(alone) + ((pairs,) if pairs else ())
    parts = [monolingual * share / sum(shares) for share in shares] + ([1 - monolingual] if pairs else [])
    return Turns(groups, tuple(parts), counted, text, work.text_share)


def _drawn(sizes: Sequence[Sequence[int]], names: Sequence[str], work: Training, weighted: bool) -> NDArray[np.float64]:
    """How often each pool of some tasks is drawn, (pools,).

    Args:
        weighted: whether fixed weights are of these tasks; of text beside them they say nothing.
    """
    sampling, every = work.sampling, [size for of_task in sizes for size in of_task]
    weights = None if sampling.weights is None or not weighted else [sampling.weights[name] for name in names]
    if sampling.unimax is not None:
        steps, epochs = work.train.steps, work.train.epochs
        budget = steps * work.train.batch_size if steps is not None else (epochs or 0.0) * sum(every)
        return unimax_probabilities(every, sampling.unimax, budget)
    if sampling.language_temperature is not None:
        return two_level_probabilities(
            sizes, sampling.temperature, sampling.cap, sampling.language_temperature, weights
        )
    if weights is not None:
        return weighted_probabilities(sizes, weights)
    return pool_probabilities(every, sampling.temperature, sampling.cap)


def _pairs(task: TaskData, alone: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The same of a task's pairs of languages, by their first; empty where there are none."""
    shares = dict(zip([pool.language for pool in task.train if not pool.paired], alone.tolist(), strict=True))
    found = [shares[pool.language] for pool in task.train if pool.paired]
    return [np.array(found, dtype=np.float64)] if found else []


def _alike(pools: Sequence[Pool], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with every language drawn as often."""
    found = drawn.copy()
    for key in dict.fromkeys((pool.language, pool.paired) for pool in pools):
        own = [place for place, pool in enumerate(pools) if (pool.language, pool.paired) == key]
        found[own] /= found[own].sum()
    return found
