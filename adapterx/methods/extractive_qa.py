"""The loss of extractive QA: which token of a window begins the answer, and which ends it.

As `XLMRobertaForQuestionAnswering` of `transformers` has it, but among the tokens of the passage and <s> alone: those
of the question and </s> are no candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

OUTPUTS = 2
"""Of the head: scores as first and as last token."""


def loss(scores: Tensor, windows: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy over the rows of each window, summed over its two labels with the weight of each.

    Equal weights that sum to 1 give the mean over windows of the mean of both.

    Args:
        scores: (R, 2), window after window.
        windows: (w,) rows of each.
        labels: (2 w,) of each window the places, among its rows, of the first and the last token of the answer.
        weights: (2 w,).
    """
    return cross_entropy(by_window(scores, windows), labels, reduction="none") @ weights


def by_window(scores: Tensor, windows: Tensor) -> Tensor:
    """(2 w, longest) scores: of each window a line as first and one as last token, -inf beyond its rows."""
    window = torch.repeat_interleave(windows)
    row = torch.arange(len(scores), device=scores.device) - (windows.cumsum(0) - windows)[window]
    table = scores.new_full((len(windows), int(windows.max()), OUTPUTS), float("-inf"))
    return table.index_put((window, row), scores).transpose(1, 2).flatten(0, 1)
