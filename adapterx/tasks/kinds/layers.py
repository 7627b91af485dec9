"""The layers of prediction heads, and their losses. Needs torch: whoever imports it does so within a function, so that
a plan runs without.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

Tensors = Mapping[str, Tensor]


def scores(prefix: str, tensors: Tensors, rows: Tensor, dense: bool) -> Tensor:
    """(R, o) scores of R rows by one cell's head: output(tanh(dense(rows))), or the output layer alone.

    Args:
        rows: (R, d).
        dense: whether the head has a dense layer.
    """
    if dense:
        rows = torch.tanh(linear(rows, tensors[f"{prefix}dense.weight"], tensors[f"{prefix}dense.bias"]))
    return linear(rows, tensors[f"{prefix}output.weight"], tensors[f"{prefix}output.bias"])


def batched_scores(prefix: str, tensors: Tensors, rows: Tensor, dense: bool) -> Tensor:
    """(K, R, o) float32 scores of (K, R, d) rows, by the heads of K cells at once; tensors are (K, …)."""
    if dense:
        rows = torch.tanh(_linear(rows, tensors, f"{prefix}dense"))
    return _linear(rows, tensors, f"{prefix}output").float()


def _linear(rows: Tensor, tensors: Tensors, name: str) -> Tensor:
    return torch.baddbmm(tensors[f"{name}.bias"][:, None], rows, tensors[f"{name}.weight"].transpose(1, 2))


def labels_loss(units: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of (U, classes) scores, summed over (U,) labels with the weight of each."""
    return cross_entropy(units, labels, reduction="none") @ weights


def batched_labels_loss(units: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """(K,) the same of (K, U, classes) scores; of labels and weights (K, V), V at least U, the first U count."""
    cells, count = units.shape[:2]
    losses = cross_entropy(units.flatten(0, 1), labels[:, :count].flatten(), reduction="none")
    return (losses.view(cells, count) * weights[:, :count]).sum(1)


def choice_table(scores: Tensor, reads: Tensor) -> Tensor:
    """(n, choices) scores by example, of (R, 1) by choice; an example with fewer choices gets scores of -inf.

    Args:
        reads: (n,) choices of each example.
    """
    example = torch.repeat_interleave(reads, output_size=len(scores))
    choice = torch.arange(len(scores), device=scores.device) - (reads.cumsum(0) - reads)[example]
    table = scores.new_full((len(reads), int(reads.max())), float("-inf"))
    return table.index_put((example, choice), scores[:, 0])
