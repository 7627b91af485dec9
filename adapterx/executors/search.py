"""Retrieval by trained cells: vectors of all texts, and what is found with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from adapterx.engine.cell import Pool
from adapterx.engine.evaluate import LanguagePredictions
from adapterx.engine.retrieve import Vectors, mined, rankings
from adapterx.engine.search import Similarity
from adapterx.limits import Limit
from adapterx.methods.pooling import Pooling
from adapterx.plan.stage import Search
from adapterx.store import JSON
from adapterx.tasks import constancy
from adapterx.tasks.spec import TaskSpec

BYTES = 4_000_000_000
"""Vectors in memory at once, of several cells if they fit."""

Embed: TypeAlias = Callable[[slice, Pooling, Sequence[Pool]], list[list[Vectors]]]
"""By cell, of some of them, and pool: (n, d), one vector of each example."""


@dataclass(frozen=True)
class Found:
    """What one cell finds."""

    predictions: list[LanguagePredictions]
    result: Mapping[str, JSON] = field(default_factory=dict)
    """More for the record."""


def search(
    cells: int,
    asked: Search,
    spec: TaskSpec,
    pools: Mapping[str, Sequence[Pool]],
    limit: Limit | None,
    embed: Embed,
    device: torch.device,
) -> list[Found]:
    """What each cell finds in the pools.

    Args:
        cells: how many there are.
        pools: by split, one language each; those of dev too where pairs are mined.
        limit: the queries of each language to rank candidates for, if not all of a pool.
        embed: turns texts into vectors; asked for as many cells at once as fit.
        device: where vectors are compared.
    """
    every = [pool for split in spec.scored for pool in pools[split]]
    pooling = Pooling(asked.layer, asked.pooling, asked.special_tokens)
    found: list[Found] = []
    together = 1
    while len(found) < cells:
        for vectors in embed(slice(len(found), len(found) + together), pooling, every):
            found.append(_found(asked, spec, every, vectors, limit, device))
            together = max(1, BYTES // max(1, sum(one.nbytes for one in vectors)))
    return found


def _found(
    asked: Search,
    spec: TaskSpec,
    pools: Sequence[Pool],
    vectors: Sequence[Vectors],
    limit: Limit | None,
    device: torch.device,
) -> Found:
    similarity = Similarity(asked.similarity == "margin", asked.neighbours or 1)
    if not spec.mines:
        return Found(rankings(pools, vectors, spec.pool, similarity, device, limit))
    half = len(pools) // 2
    pairs = [
        mined((dev, test), own, similarity, device)
        for dev, test, *own in zip(pools[:half], pools[half:], vectors[:half], vectors[half:], strict=True)
    ]
    thresholds: dict[str, JSON] = {one.predictions.language: round(one.threshold, 6) for one in pairs}
    dev: dict[str, JSON] = {one.predictions.language: round(one.dev_f1, 6) for one in pairs}
    return Found([one.predictions for one in pairs], {"thresholds": thresholds, "dev_pair_f1": dev})


def collapse(predictions: Sequence[LanguagePredictions]) -> str | None:
    """Why these rankings are no result, if they are none: one candidate nearest to all queries in each language.

    Mined pairs are one, be they none.
    """
    languages = [one.language for one in predictions]
    rankings = [one for one in predictions if one.ids and not isinstance(one.prediction[0], str)]
    return constancy.collapsed(
        {one.language: constancy.of_rankings(one.ids, one.gold, one.prediction, languages) for one in rankings}
    )
