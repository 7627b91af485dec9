"""Scores of what a search finds: of rankings, and of pairs that were mined.

A query's answers are among candidates that have places, 0 on. Its gold is the places of its n relevant candidates; its
prediction the place of the nearest candidate, then the rank of each relevant one in the order of gold, counted from 1
over all candidates: everything below follows from those, whatever the number of candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RANKING_NAMES = (
    "retrieval_accuracy",
    "mean_average_precision",
    "mean_average_precision_20",
    "recall_at_1",
    "recall_at_10",
    "recall_at_100",
    "ndcg_at_10",
    "rank_distance",
)
MINING_NAMES = ("pair_f1",)
NAMES = (*RANKING_NAMES, *MINING_NAMES)

Places = Sequence[NDArray[np.int64]]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class RankingScore:
    """The mean over queries of one of `RANKING_NAMES`.

    - `retrieval_accuracy`: whether the nearest candidate is relevant (XTREME's Tatoeba).
    - `mean_average_precision`: mean over the relevant candidates of the precision at their ranks; cut at 20, those
      below count nothing and the mean is over at most 20 (LAReQA, arXiv 2004.05484, and XTREME-R, utils_lareqa.py).
    - `recall_at_k`: the share of the relevant candidates among the first k.
    - `ndcg_at_10`: discounted gain 1 / log2(1 + rank) of the first ten over the best possible one, relevance being 0 or
      1 (MIRACL, arXiv 2210.09984).
    - `rank_distance`: highest minus lowest rank of the relevant candidates (arXiv 2408.10536), in ranks: no share, and
      lower is better.
    """

    name: str

    def statistics(self, gold: Places, prediction: Places, language: str = "") -> Array:
        """Columns: score, 1. ValueError where a prediction has not one number more than its gold."""
        found = self._scores(gold, prediction) if len(gold) else np.zeros(0)
        return np.stack([found, np.ones(len(found))], axis=1)

    def value(self, sums: Array) -> Array:
        """Score / queries."""
        return np.divide(sums[..., 0], sums[..., 1], out=np.zeros_like(sums[..., 0]), where=sums[..., 1] != 0)

    def plainest(self, gold: Places) -> list[NDArray[np.int64]]:
        """Candidates ranked by their places, whatever the query."""
        return own_order(gold)

    def _scores(self, gold: Places, prediction: Places) -> Array:
        """One score per query."""
        count = _counts(gold, prediction)
        if self.name == "retrieval_accuracy":
            nearest = np.array([item[0] for item in prediction])
            hits: NDArray[np.bool_] = np.concatenate(list(gold)) == np.repeat(nearest, count)
            return (_per_query(hits, count) > 0).astype(np.float64)
        return self._of_ranks(prediction, count)

    def _of_ranks(self, prediction: Places, count: NDArray[np.int64]) -> Array:
        query = np.repeat(np.arange(len(count)), count)
        rank = np.concatenate([item[1:] for item in prediction]).astype(np.int64)
        rank = rank[np.lexsort((rank, query))]
        starts = _starts(count)
        if self.name == "rank_distance":
            spread: Array = (rank[starts + count - 1] - rank[starts]).astype(np.float64)
            return spread
        name, _, last = self.name.rpartition("_")
        cut = int(last) if last.isdecimal() else int(rank.max())
        kept = rank <= cut
        if name.startswith("recall"):
            return _per_query(kept, count) / count
        most = np.minimum(count, cut)
        if name.startswith("ndcg"):
            best = np.cumsum(1 / np.log2(np.arange(2, cut + 2)))
            ratio: Array = _per_query(kept / np.log2(1 + rank), count) / best[most - 1]
            return ratio
        better = np.arange(len(rank)) - np.repeat(starts, count) + 1
        return _per_query(kept * better / rank, count) / most


@dataclass(frozen=True)
class PairF1:
    """F1 of a set of pairs of sentences (BUCC 2018, as XTREME scores it: one set per language).

    An item is a source sentence; gold are the ids of its translations, the prediction is the id of the mined one, or
    "" where none is.
    """

    name: str = "pair_f1"

    def statistics(self, gold: Sequence[Sequence[str]], prediction: Sequence[str], language: str = "") -> Array:
        """Columns: pairs in both, predicted pairs, gold pairs."""
        pairs = zip(gold, prediction, strict=True)
        found = [(said in right, said != "", len(set(right))) for right, said in pairs]
        return np.array(found, np.float64).reshape(-1, 3)

    def value(self, sums: Array) -> Array:
        """2 · both / (predicted + gold)."""
        total = sums[..., 1] + sums[..., 2]
        return np.divide(2 * sums[..., 0], total, out=np.zeros_like(total), where=total != 0)

    def plainest(self, gold: Sequence[Sequence[str]]) -> list[str]:
        """No pair."""
        return [""] * len(gold)


def own_order(gold: Places) -> list[NDArray[np.int64]]:
    """What a search would predict that ranks candidates by their places, whatever the query."""
    return [np.concatenate([[0], places + 1]).astype(np.int64) for places in gold]


def _counts(gold: Places, prediction: Places) -> NDArray[np.int64]:
    """Relevant candidates of each query."""
    count = np.array([len(item) for item in gold], dtype=np.int64)
    if not count.all():
        raise ValueError(f"query {int(count.argmin())} has no relevant candidate, so its ranking has no score")
    for at, (right, said) in enumerate(zip(gold, prediction, strict=True)):
        if len(said) != len(right) + 1:
            raise ValueError(
                f"query {at}: a prediction is the nearest place and the rank of each of {len(right)} relevant"
                f" candidates, not {len(said)} numbers"
            )
    return count


def _per_query(values: NDArray[np.bool_] | Array, count: NDArray[np.int64]) -> Array:
    """Sums of values of candidates, those of each query laid end to end."""
    sums: Array = np.add.reduceat(values.astype(np.float64), _starts(count))
    return sums


def _starts(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each query begins when all are laid end to end."""
    return np.cumsum(count) - count
