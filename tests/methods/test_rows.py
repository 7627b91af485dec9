"""Per-cell products and dropout over packed rows."""

from __future__ import annotations

import torch

from adapterx.methods.rows import CellDropout, linear_by_cell


def test_each_cell_meets_its_own_layer() -> None:
    weight, bias, inputs = torch.randn(3, 5, 4), torch.randn(3, 5), torch.randn(9, 4)
    rows = (2, 0, 7)
    found = linear_by_cell(inputs, weight, bias, rows)
    expected = torch.cat([inputs[:2] @ weight[0].T + bias[0], inputs[2:] @ weight[2].T + bias[2]])
    torch.testing.assert_close(found, expected)


def test_masks_belong_to_the_cell_its_step_and_the_place() -> None:
    inputs = torch.ones(50, 40)
    together = CellDropout(0.25, seeds=(1, 2))
    together.begin((7, 3))
    found = together(inputs, (20, 30), "0.query")
    kept = found[found != 0]
    assert 0.70 < len(kept) / found.numel() < 0.80
    assert (kept == 1 / 0.75).all()
    alone = CellDropout(0.25, seeds=(2,))
    alone.begin((3,))
    assert torch.equal(alone(inputs[:30], (30,), "0.query"), found[20:])
    assert not torch.equal(alone(inputs[:30], (30,), "1.query"), found[20:])
    alone.begin((4,))
    assert not torch.equal(alone(inputs[:30], (30,), "0.query"), found[20:])
    alone.begin(None)
    assert alone(inputs, (50,), "0.query") is inputs
