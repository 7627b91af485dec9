"""Exact nearest neighbours by cosine or by ratio margin, a block of queries against all candidates at a time.

Margin: Artetxe & Schwenk 2019 (arXiv 1811.01136), the ratio of a pair's cosine to the mean cosine of both texts with
their k nearest neighbours on the other side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

BLOCK = 1 << 26
"""Scores that are in memory at once: a quarter of a gigabyte."""
_LEAST = 1e-6
"""A mean cosine below this counts as this, so that no margin is negative or endless."""


@dataclass(frozen=True)
class Similarity:
    """How alike two texts are."""

    margin: bool = False
    """Ratio margin instead of cosine."""
    neighbours: int = 4
    """Of each text, on the other side, behind a margin."""


@dataclass(frozen=True)
class Ranking:
    """What the queries find."""

    nearest: Integers
    """(Q,) place of the candidate that is most alike; of equal ones the first."""
    score: Floats
    """(Q,) how alike it is."""
    ranks: list[Integers]
    """Of each query the ranks of its relevant candidates, counted from 1; of equal ones the first comes before."""


@dataclass(frozen=True)
class Pairs:
    """Mined pairs, most alike first, no text in two of them."""

    queries: Integers
    candidates: Integers
    scores: Floats


@torch.no_grad()
def normalised(vectors: Tensor) -> Tensor:
    """The (n, d) vectors brought to length 1 in place: there may be no room for a second million of them."""
    return normalize(vectors, dim=1, out=vectors)


@torch.no_grad()
def rank(
    queries: Tensor, candidates: Tensor, relevant: Sequence[Integers], similarity: Similarity, block: int = BLOCK
) -> Ranking:
    """Rank all candidates for every query.

    Args:
        queries: (Q, d), candidates: (C, d), of length 1, on one device.
        relevant: of each query the places of the candidates whose ranks are wanted.
        block: scores at once.
    """
    means = _means(queries, candidates, similarity, block)
    nearest, score = [], []
    ranks: list[Integers] = []
    for start, scores in _blocks(queries, candidates, means, block):
        best = scores.max(dim=1)
        nearest.append(best.indices.cpu().numpy())
        score.append(best.values.cpu().numpy())
        ranks += _ranks(scores, relevant[start : start + len(scores)])
    if not ranks:
        return Ranking(np.zeros(0, np.int64), np.zeros(0, np.float32), [])
    return Ranking(np.concatenate(nearest), np.concatenate(score), ranks)


@torch.no_grad()
def mine(queries: Tensor, candidates: Tensor, similarity: Similarity, block: int = BLOCK) -> Pairs:
    """The pairs of texts that are most alike: each side's nearest on the other, best first, every text once.

    The strategy `max` of LASER's miner (facebookresearch/LASER, mine_bitexts.py), with which XTREME scores BUCC: of the
    k nearest by cosine the one with the highest score. Arguments as of `rank`.
    """
    if not len(queries) or not len(candidates):
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    forth = _neighbours(queries, candidates, similarity.neighbours, block)
    back = _neighbours(candidates, queries, similarity.neighbours, block)
    means = (forth.values.mean(dim=1) / 2, back.values.mean(dim=1) / 2) if similarity.margin else None
    score, found = _best(forth, means)
    other, origin = _best(back, means[::-1] if means else None)
    pairs = (torch.arange(len(queries)), found.cpu()), (origin.cpu(), torch.arange(len(candidates)))
    left, right = (torch.cat(side).numpy() for side in zip(*pairs, strict=True))
    return _once(left, right, torch.cat([score, other]).cpu().numpy())


def _best(near: _Near, means: Means) -> tuple[Tensor, Tensor]:
    """(n,) the highest score of each text among its neighbours, and whose it is."""
    scores = near.values
    if means is not None:
        scores = scores / (means[0][:, None] + means[1][near.places]).clamp_(min=_LEAST)
    best = scores.max(dim=1)
    return best.values, near.places.gather(1, best.indices[:, None])[:, 0]


def threshold(pairs: Pairs, gold: int, right: NDArray[np.bool_]) -> float:
    """The score from which on pairs are best taken for translations, by the F1 of a set whose pairs are known.

    Between the last pair to take and the next; of equal F1 the one that takes fewer. BUCC's optimiser, as LASER has it.

    Args:
        gold: how many pairs there are to be found.
        right: of each mined pair whether it is one of them.
    """
    if not right.any():
        return float("inf")
    taken = np.arange(1, len(right) + 1)
    f1 = 2 * np.cumsum(right) / (taken + gold)
    last = int(f1.argmax())
    following = pairs.scores[min(last + 1, len(right) - 1)]
    return float((pairs.scores[last] + following) / 2)


def _once(left: Integers, right: Integers, scores: Floats) -> Pairs:
    """Pairs from the best one down, leaving out those with a text that a better one has."""
    order = np.lexsort((right, left, -scores))
    used_left, used_right, kept = set[int](), set[int](), []
    for at in order.tolist():
        if left[at] not in used_left and right[at] not in used_right:
            used_left.add(int(left[at]))
            used_right.add(int(right[at]))
            kept.append(at)
    return Pairs(left[kept], right[kept], scores[kept])


Means = tuple[Tensor, Tensor] | None


def _means(queries: Tensor, candidates: Tensor, similarity: Similarity, block: int) -> Means:
    """Of each text on either side, half the mean cosine with its nearest on the other; None for plain cosine."""
    if not similarity.margin or not len(queries) or not len(candidates):
        return None
    sides = ((queries, candidates), (candidates, queries))
    near = [_neighbours(*pair, similarity.neighbours, block).values.mean(dim=1) / 2 for pair in sides]
    return near[0], near[1]


@dataclass(frozen=True)
class _Near:
    """(n, k) the nearest others of each text: their cosines, and their places."""

    values: Tensor
    places: Tensor


def _neighbours(texts: Tensor, others: Tensor, k: int, block: int) -> _Near:
    found = [scores.topk(min(k, len(others)), dim=1) for _, scores in _blocks(texts, others, None, block)]
    return _Near(torch.cat([one.values for one in found]), torch.cat([one.indices for one in found]))


def _blocks(queries: Tensor, candidates: Tensor, means: Means, block: int) -> Iterator[tuple[int, Tensor]]:
    """Scores (b, C) of so many queries at a time with all candidates, and the number of the first."""
    size = max(1, block // max(1, len(candidates)))
    for start in range(0, len(queries), size):
        scores = queries[start : start + size] @ candidates.T
        if means is not None:
            scores /= (means[0][start : start + size, None] + means[1]).clamp_(min=_LEAST)
        yield start, scores


def _ranks(scores: Tensor, relevant: Sequence[Integers]) -> list[Integers]:
    """Of each query the ranks of its relevant candidates, one relevant candidate of every query at a time."""
    counts = np.array([len(places) for places in relevant])
    found = np.zeros((len(relevant), int(counts.max(initial=0))), np.int64)
    before = torch.arange(scores.shape[1], device=scores.device)
    for place in range(found.shape[1]):
        asking = np.flatnonzero(counts > place)
        wanted = torch.from_numpy(np.array([relevant[at][place] for at in asking.tolist()])).to(scores.device)
        rows = torch.from_numpy(asking).to(scores.device)
        own = scores[rows] if len(asking) < len(scores) else scores
        value = own.gather(1, wanted[:, None])
        # What is not a number, of a diverged encoder, comes last.
        behind = (own < value) | ((own == value) & (before >= wanted[:, None]))
        found[asking, place] = (len(before) - behind.sum(dim=1)).clamp_(max=len(before) - 1).cpu().numpy() + 1
    return [line[:count] for line, count in zip(found, counts, strict=True)]
