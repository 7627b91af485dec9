"""Retrieval by trained cells: vectors of all texts, and what is found with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch

from adapterx.engine.cell import Pool
from adapterx.engine.evaluate import LanguagePredictions
from adapterx.engine.retrieve import Side, Vectors, mined, rankings, sides
from adapterx.engine.search import Similarity
from adapterx.limits import Limit
from adapterx.methods.pooling import Pooling
from adapterx.plan.stage import SearchSettings
from adapterx.store import JSON
from adapterx.tasks.spec import TaskSpec

BYTES = 4_000_000_000
"""Vectors in memory at once, of several cells and layers if they fit."""

Asked: TypeAlias = list[tuple[int, tuple[Pooling, ...]]]
"""Cells, by place, each with what is read of it in one pass."""
Read: TypeAlias = list[list[list[Vectors]]]
"""By cell, pooling and pool: (n, d), one vector of each example."""
Embed: TypeAlias = Callable[[Asked, Sequence[Pool]], Read]


@dataclass(frozen=True)
class Found:
    """What one cell finds."""

    predictions: list[LanguagePredictions]
    result: Mapping[str, JSON] = field(default_factory=dict)
    """More for the record."""


def pooling(asked: SearchSettings) -> Pooling:
    """What a search reads of a text."""
    return Pooling(asked.layer, asked.pooling, asked.special_tokens)


def passes(searches: Sequence[tuple[int, SearchSettings]], texts: int, width: int) -> list[Asked]:
    """What to read in one pass over all texts after another: a cell's layers together, and of as many cells as fit.

    Args:
        searches: each with its cell, by place.
        texts: how many there are; width: numbers of a vector.
    """
    wanted: dict[int, dict[Pooling, None]] = {}
    for cell, asked in searches:
        wanted.setdefault(cell, {})[pooling(asked)] = None
    room = max(1, BYTES // max(1, 4 * texts * width))
    found: list[Asked] = []
    left = 0
    for cell, poolings in wanted.items():
        several = list(poolings)
        for start in range(0, len(several), room):
            part = tuple(several[start : start + room])
            if len(part) > left:
                found.append([])
                left = room
            found[-1].append((cell, part))
            left -= len(part)
    return found


def search(
    searches: Sequence[tuple[int, SearchSettings]],
    every: Sequence[Asked],
    spec: TaskSpec,
    pools: Mapping[str, Sequence[Pool]],
    limit: Limit | None,
    embed: Embed,
    device: torch.device,
) -> Iterator[tuple[int, Found]]:
    """The place of each search and what it finds in the pools, as soon as it is found.

    Args:
        searches: each with its cell, by place; all of them read the same texts.
        every: the `passes` that they take.
        pools: by split, one language each; those of dev too where pairs are mined.
        limit: the queries of each language to rank candidates for, if not all of a pool.
        embed: turns texts into vectors.
        device: where vectors are compared.
    """
    texts = [pool for split in spec.scored for pool in pools[split]]
    for asked in every:
        vectors = embed(asked, texts)
        for (cell, poolings), of_cell in zip(asked, vectors, strict=True):
            for read in poolings:
                own = sides(texts, of_cell.pop(0), device)
                for place, (of, one) in enumerate(searches):
                    if of == cell and pooling(one) == read:
                        yield place, _found(one, spec, own, limit)
                del own  # the next vectors may need its room


def _found(asked: SearchSettings, spec: TaskSpec, own: Sequence[Side], limit: Limit | None) -> Found:
    similarity = Similarity(asked.similarity == "margin", asked.neighbours or 1)
    if not spec.mines:
        return Found(rankings(own, spec.pool, similarity, limit))
    half = len(own) // 2
    pairs = [mined(dev, test, similarity) for dev, test in zip(own[:half], own[half:], strict=True)]
    thresholds: dict[str, JSON] = {one.predictions.language: round(one.threshold, 6) for one in pairs}
    dev: dict[str, JSON] = {one.predictions.language: round(one.dev_f1, 6) for one in pairs}
    return Found([one.predictions for one in pairs], {"thresholds": thresholds, "dev_pair_f1": dev})


def collapse(predictions: Sequence[LanguagePredictions]) -> str | None:
    """Why these rankings are no result, if they are none: one candidate nearest to all queries of each language."""
    for language in predictions:
        if not language.prediction or isinstance(language.prediction[0], str):
            return None
        nearest = np.unique([ranking[0] for ranking in language.prediction])
        if len(nearest) > 1 or len(language.prediction) == 1:
            return None
    return "finds the same candidate for every query of a language" if predictions else None
