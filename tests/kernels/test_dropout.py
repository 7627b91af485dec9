"""Dropout masks that a kernel counts are those of the library's path, bit for bit, and so is what they leave."""

from __future__ import annotations

import pytest
import torch

from adapterx.kernels import choice
from adapterx.kernels.tiles import CellRows, tiled
from adapterx.methods.rows import CellDropout

COUNTS = (40, 3, 65)
PLACES = ("0.query", "0.value", "7.output")


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("starts", [(0, 0, 0), (11, 0, 500)])
@pytest.mark.parametrize("reads", [False, True])
def test_masks_and_their_gradient(reads: bool, starts: tuple[int, ...], number: torch.dtype) -> None:
    torch.manual_seed(0)
    dropout = CellDropout(0.3, [5, 6, 5], places=PLACES)
    values, weights = torch.randn(sum(COUNTS), 150).to(number), torch.randn(sum(COUNTS), 150).to(number)
    # Read rows begin elsewhere than rows do; those that are not asked for must not be taken.
    others = (77, 78, 79)
    masks = dropout.counted([9, 9, 10], *((others, starts) if reads else (starts, others)))
    found = []
    for kernel in (False, True):
        dropout.begin([9, 9, 10], {COUNTS: starts}, masks if kernel else None)
        inputs = values.clone().requires_grad_()
        with choice.emulated(["dropout"] if kernel else []):
            out = dropout(inputs, CellRows.of(COUNTS, tiled(COUNTS), reads=reads), "7.output")
            found.append((out, *torch.autograd.grad((out * weights).sum(), inputs)))
            assert choice.runs("dropout", torch.device("cpu")) == kernel
    (theirs, their_gradient), (mine, my_gradient) = found
    assert torch.equal(theirs == 0, mine == 0) and 0.25 < float((mine == 0).float().mean()) < 0.35
    # The interpreter cuts bfloat16 off where the library rounds: at most the last of its 8 bits.
    bound = 0.0 if number == torch.float32 else 2**-7
    for one, other in ((theirs, mine), (their_gradient, my_gradient)):
        assert torch.allclose(one.float(), other.float(), rtol=bound, atol=0.0)


def test_a_recording_needs_no_steps_of_the_host() -> None:
    dropout = CellDropout(0.5, [1], places=PLACES)
    rows = CellRows.of((8,), tiled((8,)))
    with choice.emulated(["dropout"]):
        dropout.begin(None, masks=dropout.counted([3], [0], [0]))
        recorded = dropout(torch.ones(8, 16), rows, "0.value")
        dropout.begin([3])
        assert torch.equal(recorded, dropout(torch.ones(8, 16), (8,), "0.value"))
        dropout.begin(None)
        assert torch.equal(dropout(torch.ones(8, 16), rows, "0.value"), torch.ones(8, 16))
