"""Contrastive examples: what is encoded of them, and the loss against sentence-transformers' own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.contrastive import ContrastiveExample
from adapterx.tasks.kinds.contrastive.loss import info_nce, vectors

EXAMPLES = [
    ContrastiveExample("1", "who sleeps", ("the cat sleeps", "the dog runs")),
    ContrastiveExample("2", "who runs", ("a dog runs", "a cat sleeps", "nobody")),
    ContrastiveExample("3", "who reads", ("a girl reads",)),
]


@dataclass
class Rows:
    """What a head is told of the rows that it reads."""

    reads: Tensor
    labels: Tensor
    weights: Tensor
    windows: Tensor


def batch(candidates: list[int], names: list[int] | None = None, seed: int = 0) -> tuple[Tensor, Rows]:
    """Random rows of examples with so many candidates each, and what is told of them."""
    random = np.random.default_rng(seed)
    windows = torch.from_numpy(random.integers(1, 6, size=sum(candidates) + len(candidates)))
    per_example = torch.split(windows, [1 + count for count in candidates])
    reads = torch.stack([one.sum() for one in per_example])
    count = sum(candidates)
    labels = torch.arange(count) if names is None else torch.tensor(names)
    rows = torch.from_numpy(random.normal(size=(int(windows.sum()), 16))).float()
    return rows, Rows(reads, labels, torch.full((count,), 1 / count), windows)


@pytest.mark.parametrize("scale", [20.0, 5.0])
@pytest.mark.parametrize("candidates", [[1] * 7, [2] * 5], ids=["pairs", "with a wrong one each"])
def test_the_loss_is_that_of_sentence_transformers(candidates: list[int], scale: float) -> None:
    losses = pytest.importorskip("sentence_transformers.losses")

    class Nothing(torch.nn.Module):
        """A model that is not asked: the loss is given its embeddings."""

    oracle = losses.MultipleNegativesRankingLoss(Nothing(), scale=scale)
    rows, told = batch(candidates)
    found = vectors(rows, told.windows, "mean").requires_grad_()
    columns = [found[place :: 1 + candidates[0]] for place in range(1 + candidates[0])]
    expected = oracle.compute_loss_from_embeddings(columns, labels=None)
    mine = info_nce(found, told, 1 / scale)
    torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(one, found, retain_graph=True)[0] for one in (mine, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_examples_may_have_unlike_numbers_of_candidates() -> None:
    rows, told = batch([2, 1, 3])
    found = torch.nn.functional.normalize(vectors(rows, told.windows, "mean"), dim=1)
    queries, candidates = found[[0, 3, 5]], found[[1, 2, 4, 6, 7, 8]]
    scores = queries @ candidates.T / 0.1
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([0, 2, 3]))
    torch.testing.assert_close(info_nce(vectors(rows, told.windows, "mean"), told, 0.1), expected)


def test_the_same_text_is_no_wrong_candidate() -> None:
    rows, told = batch([1, 1, 1, 1], names=[7, 8, 7, 9])
    found = vectors(rows, told.windows, "mean")
    unit = torch.nn.functional.normalize(found, dim=1)
    scores = unit[0::2] @ unit[1::2].T / 0.05
    scores[0, 2] = scores[2, 0] = float("-inf")
    torch.testing.assert_close(info_nce(found, told, 0.05), torch.nn.functional.cross_entropy(scores, torch.arange(4)))


def test_vectors_are_means_or_first_rows() -> None:
    rows, told = batch([1, 1])
    parts = torch.split(rows, told.windows.tolist())
    torch.testing.assert_close(vectors(rows, told.windows, "mean"), torch.stack([one.mean(0) for one in parts]))
    torch.testing.assert_close(vectors(rows, told.windows, "cls"), torch.stack([one[0] for one in parts]))


def test_every_text_is_a_sequence_that_is_read_whole(tokenizer: Any) -> None:
    data = kind("contrastive").encode(EXAMPLES, tokenizer, 32)
    assert np.diff(data.example_sequences).tolist() == [3, 4, 2]
    assert np.array_equal(data.read_tokens, np.arange(len(data.tokens)))
    assert np.array_equal(data.example_reads, data.sequence_offsets[data.example_sequences])
    texts = [text for one in EXAMPLES for text in one.texts]
    for place, text in enumerate(texts):
        own = data.tokens[slice(*data.sequence_offsets[place : place + 2].tolist())]
        assert own.tolist() == tokenizer(text)["input_ids"]
    assert np.diff(data.example_labels).tolist() == [2, 3, 1]
    assert len({*data.labels.tolist()}) == 6
    again = kind("contrastive").encode([ContrastiveExample("9", "?", ("a dog runs",))], tokenizer, 32)
    assert again.labels.tolist() == [data.labels[2]], "a label names a text"


def test_prefixes_stand_before_queries_and_candidates() -> None:
    made = kind("contrastive").prefixed(EXAMPLES[0], "query: ", "passage: ")
    assert made.texts == ("query: who sleeps", "passage: the cat sleeps", "passage: the dog runs")
