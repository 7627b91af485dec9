"""The loss of extractive QA: which token of a window begins the answer, and which ends it.

As `XLMRobertaForQuestionAnswering` of `transformers` has it, but among the tokens of the passage and <s> alone: those
of the question and </s> are no candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adapterx.tasks.kinds.extractive_qa import OUTPUTS


def loss(scores: Tensor, windows: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy over the rows of each window, summed over its two labels with the weight of each.

    Equal weights that sum to 1 give the mean over windows of the mean of both. Windows of all lengths are served at
    once, and the device never waits for the host.

    Args:
        scores: (R, 2), window after window.
        windows: (w,) rows of each, at least 1.
        labels: (2 w,) of each window the places, among its rows, of the first and the last token of the answer.
        weights: (2 w,).
    """
    first = windows.cumsum(0) - windows
    right = scores.gather(0, first[:, None] + labels.view(-1, OUTPUTS))
    return (log_sum_exp(scores, windows) - right).flatten() @ weights


def log_sum_exp(scores: Tensor, windows: Tensor) -> Tensor:
    """(w, 2) over the rows of each window."""
    window = torch.repeat_interleave(windows, output_size=len(scores))[:, None].expand_as(scores)
    lowest = scores.new_full((len(windows), OUTPUTS), float("-inf"))
    highest = lowest.scatter_reduce(0, window, scores.detach(), "amax")  # what is subtracted has no gradient
    powers = (scores - highest.gather(0, window)).exp()
    return torch.zeros_like(highest).scatter_add(0, window, powers).log() + highest
