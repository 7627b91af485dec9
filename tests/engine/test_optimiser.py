"""Both ways to update a bank are torch's AdamW, row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.optimiser import BETAS, EPSILON, RowAdamW, Step
from adapterx.engine.options import Options
from adapterx.engine.state import CellState
from adapterx.methods.lora.spec import Lora
from adapterx.methods.parameters import Parameter, ParameterBank, zeros
from tests.cells import cell
from tests.engine.trainings import packed

NAMES = [
    Parameter("weight", (3, 4), zeros),
    Parameter("bias", (3,), zeros, decays=False),
    Parameter("more", (5,), zeros),
]
RATES, DECAYS, TAKEN = (1e-2, 1e-4, 3e-1), (0.0, 0.1, 0.5), (0, 7, 100)
SIZE = 20
STEPS = 6


def optimiser(seed: int = 0) -> RowAdamW:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(3, SIZE, generator=generator)
    # Moments as they stand after some steps, where some were taken.
    first = torch.randn(3, SIZE, generator=generator) * 0.1
    second = torch.rand(3, SIZE, generator=generator) * 0.1
    first[0], second[0] = 0.0, 0.0
    return RowAdamW(ParameterBank(NAMES, values), first, second)


def step(number: int) -> Step:
    return Step(tuple(taken + number for taken in TAKEN), RATES, DECAYS, (1.0,) * 3)


def gradients(number: int) -> Tensor:
    return torch.randn(3, SIZE, generator=torch.Generator().manual_seed(100 + number))


def torch_adamw(row: int) -> Tensor:
    """The row's values after the same steps of torch's own optimiser."""
    start = optimiser()
    bank = start.bank
    halves = [bank.values[row, : bank.decaying].clone(), bank.values[row, bank.decaying :].clone()]
    groups = [
        {"params": [half.requires_grad_()], "weight_decay": decay}
        for half, decay in zip(halves, (DECAYS[row], 0.0), strict=True)
    ]
    adam = torch.optim.AdamW(groups, lr=RATES[row], betas=BETAS, eps=EPSILON)
    for half, columns in zip(halves, (slice(None, bank.decaying), slice(bank.decaying, None)), strict=True):
        adam.state[half] = {
            "step": torch.tensor(float(TAKEN[row])),
            "exp_avg": start.first[row, columns].clone(),
            "exp_avg_sq": start.second[row, columns].clone(),
        }
    for number in range(STEPS):
        for half, columns in zip(halves, (slice(None, bank.decaying), slice(bank.decaying, None)), strict=True):
            half.grad = gradients(number)[row, columns].clone()
        adam.step()
    return torch.cat([half.detach() for half in halves])


def test_all_rows_at_once_and_one_by_one_are_torchs_adamw() -> None:
    together, apart = optimiser(), optimiser()
    assert together.bank.decaying == 17
    for number in range(STEPS):
        for one in (together, apart):
            one.bank.gradients.copy_(gradients(number))
        together.step_all(step(number).table(), torch.ones(3, dtype=torch.bool))
        for row in range(3):
            apart.step_row(row, TAKEN[row] + number, RATES[row], DECAYS[row])
    expected = torch.stack([torch_adamw(row) for row in range(3)])
    torch.testing.assert_close(apart.bank.values, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(together.bank.values, expected, atol=1e-6, rtol=2e-5)
    torch.testing.assert_close(together.first, apart.first)
    torch.testing.assert_close(together.second, apart.second)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_the_dead_do_not_move_whatever_their_gradients(poison: float) -> None:
    one, other = optimiser(), optimiser()
    before = (one.bank.values[1].clone(), one.first[1].clone(), one.second[1].clone())
    for number in range(3):
        for own, bad in ((one, poison), (other, 0.0)):
            own.bank.gradients.copy_(gradients(number))
            own.bank.gradients[1] = bad
            own.step_all(step(number).table(), torch.tensor([True, False, True]))
    after = (one.bank.values[1], one.first[1], one.second[1])
    assert all(torch.equal(left, right) for left, right in zip(before, after, strict=True))
    assert torch.equal(one.bank.values, other.bank.values), "its neighbours do not notice"
    assert not torch.equal(one.bank.values[0], optimiser().bank.values[0])


def test_gradients_are_clipped_by_the_norm_of_the_whole_cell() -> None:
    """Adapter and head together, each cell by its own limit, and alike both ways."""
    enc = packed()
    found = {}
    for way in ("rows", "all"):
        cells = [
            cell(Lora(rank=2), seed=1, max_grad_norm=0.01),
            cell(Lora(rank=2), seed=2, max_grad_norm=1e6),
            cell(Lora(rank=2), seed=3, format_="tagging", max_grad_norm=0.02),
        ]
        bundle = Bundle(enc, cells, [CellState.start(one, shape_of(enc)) for one in cells], Options(workers=0))
        step = bundle._next()
        _, losses, _ = bundle._attempt(step)
        raw = norms(bundle)
        assert raw.min() > 0.03
        if way == "rows":
            bundle.trained.update_one_by_one(losses, step)
        else:
            bundle.trained.update_together(losses, step.table())
        clipped = norms(bundle)
        torch.testing.assert_close(
            clipped, torch.stack([torch.tensor(0.01), raw[1], torch.tensor(0.02)]), rtol=1e-3, atol=0
        )
        found[way] = bundle.trained.adapter.bank.values.clone()
    torch.testing.assert_close(found["rows"], found["all"], atol=1e-7, rtol=1e-5)


def norms(bundle: Bundle) -> Tensor:
    """Of each cell's gradient, over adapter and head."""
    squares = bundle.trained.adapter.bank.gradients.square().sum(1)
    for group in bundle.trained.heads:
        squares = squares.index_add(0, group.index, group.optimiser.bank.gradients.square().sum(1))
    return squares.sqrt()
