"""Attention within short sequences, through Triton's interpreter, against the library's: forward and gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx.backbones import attention
from adapterx.backbones.layout import ForKernels, Sequences, SequenceSpans, pack
from adapterx.kernels import choice
from tests.kernels.compared import distance

MIXED = np.array([5, 1, 33, 32, 64, 65, 128, 17, 129, 40, 300, 2])


def spans_of(lengths: NDArray[np.int64], reads: NDArray[np.int64] | None = None) -> tuple[SequenceSpans, SequenceSpans]:
    """The layout of sequences for all rows, and for the rows read: the first of each where they are not given."""
    starts = np.cumsum(lengths) - lengths
    reads = starts if reads is None else reads
    tokens = np.zeros(int(lengths.sum()), np.int32)
    sequences = Sequences(tokens, lengths, reads, [len(lengths)], [len(reads)])
    packed = pack(sequences, spans=True, capacity=len(lengths) + 3, kernels=ForKernels(short=True))
    assert isinstance(packed.attention, SequenceSpans) and isinstance(packed.read_attention, SequenceSpans)
    return packed.attention, packed.read_attention


def both(inputs: list[Tensor], layout: SequenceSpans, heads: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Contexts and gradients by the kernel, and by the library from the same layout without short sequences."""
    found = []
    with choice.emulated(["attention"]):
        for one in (layout, replace(layout, short=None)):
            leaves = [tensor.clone().requires_grad_() for tensor in inputs]
            if len(leaves) == 1:
                out = attention.attend_all(leaves[0], one, heads)
            else:
                out = attention.attend(leaves[0], leaves[1], one, heads)
            weights = torch.linspace(-1, 1, out.numel()).view(out.shape).to(out.dtype)
            found.append((out.detach(), *torch.autograd.grad((out * weights).float().sum(), leaves)))
        assert choice.runs("attention", torch.device("cpu")), "the kernel failed"
    return found[0], found[1]


@pytest.mark.parametrize(("heads", "width"), [(2, 64), (1, 80), (1, 128), (3, 16), (4, 8)])
def test_all_rows_of_short_and_long_sequences(heads: int, width: int) -> None:
    torch.manual_seed(0)
    layout, _ = spans_of(MIXED)
    assert layout.short is not None and layout.short.long is not None
    projected = torch.randn(int(MIXED.sum()), 3 * heads * width)
    for mine, theirs in zip(*both([projected], layout, heads), strict=True):
        assert distance(mine, theirs) < 1e-5


def test_every_length_of_a_short_sequence() -> None:
    torch.manual_seed(1)
    lengths = np.arange(1, 129, dtype=np.int64)
    layout, _ = spans_of(lengths)
    assert layout.short is not None and layout.short.long is None
    assert [int(bucket.count) for bucket in layout.short.buckets] == [32, 32, 64]
    projected = torch.randn(int(lengths.sum()), 3 * 16)
    mine, theirs = both([projected], layout, 1)
    for one, other in zip(mine, theirs, strict=True):
        parts = (torch.split(tensor, lengths.tolist()) for tensor in (one, other))
        for own, library in zip(*parts, strict=True):
            # Of a single token, queries and keys have no gradient at all.
            assert float((own - library).abs().max()) < 1e-5 * max(1.0, float(library.abs().max()))


@pytest.mark.parametrize("few", [True, False])
def test_queries_at_the_rows_read(few: bool) -> None:
    torch.manual_seed(2)
    starts = np.cumsum(MIXED) - MIXED
    reads = (
        starts if few else np.concatenate([np.arange(s, s + max(1, n - 1)) for s, n in zip(starts, MIXED, strict=True)])
    )
    _, layout = spans_of(MIXED, reads)
    assert layout.short is not None and layout.short.buckets[1].block == (16 if few else 64, 64)
    inputs = [torch.randn(len(reads), 2 * 32), torch.randn(int(MIXED.sum()), 4 * 32)]
    for mine, theirs in zip(*both(inputs, layout, 2), strict=True):
        assert distance(mine, theirs) < 1e-5


def test_bfloat16_is_within_its_rounding_of_float32() -> None:
    """Within 1 %: Triton's interpreter cuts bits off where a GPU rounds, which is up to 2⁻⁷ of a number."""
    torch.manual_seed(3)
    lengths = np.array([5, 33, 64, 65, 17])
    layout, _ = spans_of(lengths)
    projected = torch.randn(int(lengths.sum()), 3 * 2 * 64)
    _, exact = both([projected.bfloat16().float()], layout, 2)
    mine, _ = both([projected.bfloat16()], layout, 2)
    for one, right in zip(mine, exact, strict=True):
        assert one.dtype == torch.bfloat16 and distance(one, right) < 1e-2


def test_a_row_of_another_sequence_is_nobodys_business() -> None:
    lengths = np.array([5, 20, 40])
    layout, _ = spans_of(lengths)
    projected = torch.randn(65, 3 * 32)
    projected[5:25] = torch.nan
    with choice.emulated(["attention"]):
        out = attention.attend_all(projected, layout, 2)
    assert out[:5].isfinite().all() and out[25:].isfinite().all() and out[5:25].isnan().all()
