"""8-bit AdamW: the library's steps, in the engine's full fine-tuning, and the same bytes after a resume."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.optimiser import EPSILON
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from adapterx.methods.full.spec import Full
from adapterx.methods.parameters import Parameter, ParameterBank, zeros
from tests.cells import cell
from tests.engine.trainings import losses, packed

if TYPE_CHECKING:
    from adapterx.engine.eight_bit import EightBitAdamW

bitsandbytes = pytest.importorskip("bitsandbytes")


def optimiser(values: torch.Tensor, matrix: int) -> EightBitAdamW:
    """The engine's, of one row whose first `matrix` numbers decay."""
    from adapterx.engine.eight_bit import EightBitAdamW

    names = [Parameter("w", (matrix,), zeros), Parameter("b", (len(values) - matrix,), zeros, decays=False)]
    bank = ParameterBank(names, values[None].clone())
    nothing = torch.zeros(1, len(values))
    return EightBitAdamW(bank, nothing, nothing.clone())


def test_it_takes_the_library_s_steps() -> None:
    torch.manual_seed(0)
    start, matrix = torch.randn(5000), 4900
    ours = optimiser(start, matrix)
    weight, bias = (torch.nn.Parameter(part.clone()) for part in (start[:matrix], start[matrix:]))
    theirs = bitsandbytes.optim.AdamW8bit([weight], lr=1e-2, eps=EPSILON, weight_decay=0.1, min_8bit_size=1)
    plain = torch.optim.AdamW([bias], lr=1e-2, eps=EPSILON, weight_decay=0.0)
    for step in range(12):
        gradient = torch.randn(5000) * torch.rand(5000)
        ours.bank.gradients[0] = gradient
        ours.step_row(0, step, 1e-2, 0.1)
        weight.grad, bias.grad = gradient[:matrix].clone(), gradient[matrix:].clone()
        theirs.step()
        plain.step()
    assert theirs.state[weight]["state1"].dtype == torch.uint8
    torch.testing.assert_close(ours.bank.values[0, :matrix], weight.data, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ours.bank.values[0, matrix:], bias.data, atol=1e-6, rtol=1e-6)


def test_moments_read_and_written_again_are_the_same_bytes() -> None:
    torch.manual_seed(1)
    ours = optimiser(torch.randn(3000), 2800)
    for step in range(5):
        ours.bank.gradients[0] = torch.randn(3000) * torch.rand(3000) ** 4
        ours.step_row(0, step, 1e-3, 0.0)
    from adapterx.engine.eight_bit import EightBitAdamW

    again = EightBitAdamW(ours.bank, ours.first, ours.second)
    for one, other in zip(again._moments, ours._moments, strict=True):
        assert torch.equal(one.bytes, other.bytes)
        torch.testing.assert_close(one.scales, other.scales, atol=0, rtol=3e-7)


def test_full_fine_tuning_learns_with_it_and_goes_on_where_it_stopped() -> None:
    enc = packed()
    one = cell(Full(optimizer="adamw_8bit"), steps=40, learning_rate=3e-3, initial=enc.weights())
    (outcome,) = train(enc, [one])
    (plain,) = train(enc, [replace(one, method=Full())])
    assert np.mean(losses(outcome)[-5:]) < 0.9 * np.mean(losses(outcome)[:5])
    assert abs(np.mean(losses(outcome)[-5:]) - np.mean(losses(plain)[-5:])) < 0.1
    np.testing.assert_allclose(losses(outcome)[:3], losses(plain)[:3], rtol=0.05)
    assert losses(outcome) != losses(plain)
    state = CellState.start(one, shape_of(enc))
    for steps in (15, 25):
        bundle = Bundle(enc, [one], [state])
        for _ in range(steps):
            bundle.step()
        bundle.book()
        state = bundle.state(0)
        bundle.close()
    np.testing.assert_allclose(losses(outcome), [loss for loss, _ in state.losses], rtol=1e-4)


def test_it_is_for_one_cell() -> None:
    from adapterx.engine.eight_bit import EightBitAdamW

    bank = ParameterBank([Parameter("w", (300,), zeros)], torch.zeros(2, 300))
    with pytest.raises(ValueError, match="those of one cell, not of 2"):
        EightBitAdamW(bank, torch.zeros(2, 300), torch.zeros(2, 300))


def test_numbers_in_parts_take_the_steps_of_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from adapterx.engine import eight_bit

    def moved(part: int) -> tuple[torch.Tensor, torch.Tensor]:
        monkeypatch.setattr(eight_bit, "_PART", part)
        torch.manual_seed(1)
        ours = optimiser(torch.randn(3000), 2800)
        for step in range(3):
            ours.bank.gradients[0] = torch.randn(3000)
            ours.step_row(0, step, 1e-2, 0.1)
        return ours.bank.values.clone(), ours.first

    for whole, cut in zip(moved(1 << 20), moved(512), strict=True):
        assert torch.equal(whole, cut)
