"""The loss of extractive QA against the library's, window by window."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from adapterx.tasks.kinds.extractive_qa.loss import log_sum_exp, loss


def test_loss_and_gradient_are_those_of_a_loop_over_windows() -> None:
    random = torch.Generator().manual_seed(0)
    windows = torch.tensor([1, 7, 30, 2])
    scores = (torch.randn(40, 2, generator=random) * 50).double().requires_grad_()
    labels = torch.tensor([0, 0, 3, 6, 29, 0, 1, 1])
    weights = torch.rand(8, generator=random).double()
    found = loss(scores, windows, labels, weights)
    parts = torch.split(scores, windows.tolist())
    single = [
        cross_entropy(part[:, side], labels[2 * place + side])
        for place, part in enumerate(parts)
        for side in (0, 1)
    ]  # fmt: skip
    expected = torch.stack(single) @ weights
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, scores)[0], torch.autograd.grad(expected, scores)[0])


def test_large_scores_stay_finite() -> None:
    scores = torch.tensor([[1e4, -1e4], [1e4, -1e4], [-1e4, 0.0]])
    found = log_sum_exp(scores, torch.tensor([2, 1]))
    torch.testing.assert_close(found, torch.stack([scores[:2].logsumexp(0), scores[2]]))
