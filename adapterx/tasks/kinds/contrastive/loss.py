"""InfoNCE: cross-entropy of each query's own candidate among all candidates of its batch.

With cosine similarity and in-batch negatives, as sentence-transformers' MultipleNegativesRankingLoss has it (van den
Oord et al. 2018, arXiv 1807.03748, equation 4; Henderson et al. 2017, arXiv 1705.00652, section 4.4).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from adapterx.tasks.kinds.base import Targets


def vectors(rows: Tensor, windows: Tensor, pooling: str) -> Tensor:
    """(s, d) of each sequence the mean of its rows, or its first.

    Args:
        rows: (R, d) of all sequences, one after another.
        windows: (s,) rows of each.
    """
    ends = windows.cumsum(0)
    if pooling == "cls":
        return rows.index_select(0, ends - windows)
    which = torch.repeat_interleave(torch.arange(len(windows), device=rows.device), windows, output_size=len(rows))
    return rows.new_zeros((len(windows), rows.shape[1])).index_add(0, which, rows) / windows[:, None]


def info_nce(found: Tensor, targets: Targets, temperature: float) -> Tensor:
    """The loss of the (s, d) vectors of a batch, each query with its part of the weights of all labels.

    Sequences are those of example after example: a query, its candidate, and candidates that are wrong. A candidate of
    another example is a wrong one too, unless its text is that of the right one.

    Args:
        targets: of the whole batch; labels name the candidates' texts.
        temperature: what cosines are divided by.
    """
    sequence_ends, example_ends = targets.windows.cumsum(0), targets.reads.cumsum(0)
    last = torch.searchsorted(sequence_ends, example_ends)
    queries = torch.cat([last.new_zeros(1), last[:-1] + 1])
    is_query = torch.zeros(len(found), dtype=torch.bool, device=found.device).index_fill(0, queries, True)
    unit = functional.normalize(found, dim=1)
    right = queries - torch.arange(len(queries), device=found.device)
    scores = unit[is_query] @ unit[~is_query].T / temperature
    same = targets.labels[None, :] == targets.labels[right][:, None]
    same = same.scatter(1, right[:, None], False)
    losses = functional.cross_entropy(scores.masked_fill(same, float("-inf")), right, reduction="none")
    return losses.sum() * (targets.weights.sum() / len(queries))
