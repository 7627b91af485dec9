"""From vectors of queries and candidates to what is found: rankings, or mined pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.engine.cell import Pool
from adapterx.engine.evaluate import LanguagePredictions
from adapterx.engine.search import Integers, Pairs, Ranking, Similarity, mine, normalised, rank, threshold
from adapterx.limits import Limit
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.kinds.retrieval import CANDIDATE
from adapterx.tasks.spec import Pool as Among

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Side:
    """One language: its texts, divided."""

    language: str
    data: Encoded
    vectors: Tensor
    """(n, d) of all texts, of length 1, on the device that searches."""

    @cached_property
    def _candidate(self) -> NDArray[np.bool_]:
        counts = np.diff(self.data.example_labels)
        first = np.zeros(len(self.data), np.int64)
        first[counts > 0] = self.data.labels[self.data.example_labels[:-1][counts > 0]]
        return np.equal(first, CANDIDATE)

    @cached_property
    def queries(self) -> Integers:
        return np.flatnonzero(~self._candidate)

    @cached_property
    def candidates(self) -> Integers:
        return np.flatnonzero(self._candidate)

    @cached_property
    def ids(self) -> list[str]:
        """Of the queries."""
        return [self.data.ids[number] for number in self.queries.tolist()]

    @cached_property
    def relevant(self) -> list[Integers]:
        """Of each query the places of its candidates."""
        bounds = self.data.example_labels
        return [self.data.labels[bounds[number] : bounds[number + 1]] for number in self.queries.tolist()]

    def asking(self, limit: Limit | None) -> list[int]:
        """Which of the queries ask: their numbers, ascending."""
        return list(range(len(self.queries))) if limit is None else limit.places(self.ids)

    def of(self, numbers: Integers) -> Tensor:
        """The vectors of some of the texts; of neighbours no copy, as candidates mostly are."""
        if len(numbers) and numbers[-1] - numbers[0] == len(numbers) - 1:
            return self.vectors[int(numbers[0]) : int(numbers[-1]) + 1]
        return self.vectors[torch.from_numpy(numbers).to(self.vectors.device)]


def sides(pools: Sequence[Pool], vectors: Sequence[Vectors], device: torch.device) -> list[Side]:
    """Languages with the vectors of their texts, (n, d) each, which this brings to length 1 where they lie."""
    return [
        Side(pool.language, pool.data, normalised(torch.from_numpy(own).to(device)))
        for pool, own in zip(pools, vectors, strict=True)
    ]


def rankings(
    sides: Sequence[Side], among: Among, similarity: Similarity, limit: Limit | None = None
) -> list[LanguagePredictions]:
    """What the queries of each language find.

    A prediction is the place of the nearest candidate, then the ranks of the relevant ones, counted from 1. Candidates
    are numbered within their language, and in a pool of all within all of them, in the order of `sides`; one in another
    language is relevant to the query of the same id. Where each other language is searched in turn, a query is an item
    per language, named `id@language`.

    Args:
        limit: the queries of each language that ask; the others only say what is relevant to those of the same id.
    """
    if among == "own":
        return [_ranked(side, [(side, "", side.relevant)], side.asking(limit), similarity) for side in sides]
    if among == "each":
        asked = [(side, other) for side in sides for other in sides if other is not side]
        found = {
            side.language: [(other, f"@{other.language}", _same(side, other)) for one, other in asked if one is side]
            for side in sides
        }
        return [_ranked(side, found[side.language], side.asking(limit), similarity) for side in sides]
    return list(_together(sides, similarity, limit))


def _same(side: Side, other: Side) -> list[Integers]:
    """Of each query of a language the relevant candidates of another: those of the query of the same id."""
    known = dict(zip(other.ids, other.relevant, strict=True))
    return [known.get(id, np.zeros(0, np.int64)) for id in side.ids]


def _together(sides: Sequence[Side], similarity: Similarity, limit: Limit | None) -> Iterator[LanguagePredictions]:
    """Every language's queries among the candidates of all."""
    candidates = torch.cat([side.of(side.candidates) for side in sides])
    starts = np.cumsum([0, *(len(side.candidates) for side in sides)])
    for side in sides:
        per_language = [
            [places + start for places in _same(side, other)] for other, start in zip(sides, starts, strict=False)
        ]
        asking = side.asking(limit)
        every = [np.concatenate(parts) for parts in zip(*per_language, strict=True)]
        relevant = [every[number] for number in asking]
        found = rank(side.of(side.queries[asking]), candidates, relevant, similarity)
        yield _predictions(side.language, [([side.ids[number] for number in asking], relevant, found)])


def _ranked(
    side: Side,
    others: Sequence[tuple[Side, str, list[Integers]]],
    asking: Sequence[int],
    similarity: Similarity,
) -> LanguagePredictions:
    """The queries of a language that ask, among the candidates of others, one after another.

    Args:
        others: each with the mark that its answers bear, and of every query of the language what is relevant there.
    """
    parts = []
    for other, mark, relevant in others:
        able = [number for number in asking if len(relevant[number])]
        wanted = [relevant[number] for number in able]
        texts = side.of(side.queries[np.array(able, dtype=np.int64)])
        found = rank(texts, other.of(other.candidates), wanted, similarity)
        parts.append(([f"{side.ids[number]}{mark}" for number in able], wanted, found))
    return _predictions(side.language, parts)


def _predictions(language: str, parts: Sequence[tuple[list[str], list[Integers], Ranking]]) -> LanguagePredictions:
    return LanguagePredictions(
        language,
        ids=[id for ids, _, _ in parts for id in ids],
        gold=[places for _, relevant, _ in parts for places in relevant],
        prediction=[
            np.concatenate([[nearest], ranks]).astype(np.int64)
            for _, _, found in parts
            for nearest, ranks in zip(found.nearest, found.ranks, strict=True)
        ],
        scores=[score.reshape(1, 1) for _, _, found in parts for score in found.score],
    )


@dataclass(frozen=True)
class Mined:
    """Pairs of one language that are alike enough."""

    predictions: LanguagePredictions
    threshold: float
    """The score from which on they are, chosen on dev data."""
    dev_f1: float


def mined(dev: Side, test: Side, similarity: Similarity) -> Mined:
    """The pairs of a language's test set, with a threshold chosen on its dev set. Answers are ids of candidates."""
    found = _mine(dev, similarity)
    right = np.array(
        [place in dev.relevant[query] for query, place in zip(found.queries, found.candidates, strict=True)], bool
    )
    gold = sum(len(places) for places in dev.relevant)
    least = threshold(found, gold, right)
    taken = found.scores >= least
    f1 = 2 * int(right[taken].sum()) / max(1, int(taken.sum()) + gold)
    found = _mine(test, similarity)
    names = [test.data.ids[number] for number in test.candidates.tolist()]
    answers, scores = [""] * len(test.queries), np.full(len(test.queries), -np.inf, np.float32)
    for query, place, score in zip(found.queries, found.candidates, found.scores, strict=True):
        scores[query] = score
        if score >= least:
            answers[query] = names[place]
    predictions = LanguagePredictions(
        test.language,
        test.ids,
        gold=[[names[place] for place in places.tolist()] for places in test.relevant],
        prediction=answers,
        scores=[score.reshape(1, 1) for score in scores],
    )
    return Mined(predictions, least, f1)


def _mine(side: Side, similarity: Similarity) -> Pairs:
    return mine(side.of(side.queries), side.of(side.candidates), similarity)
