"""Per-cell products and dropout over packed rows."""

from __future__ import annotations

import math

import pytest
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


def test_cells_with_equally_many_rows_meet_their_own_layers_too() -> None:
    weight, bias, inputs = torch.randn(3, 5, 4), torch.randn(3, 5), torch.randn(9, 4)
    for own in (bias, None):
        found = linear_by_cell(inputs, weight, own, (3, 3, 3))
        apart = [
            linear_by_cell(inputs[3 * at : 3 * at + 3], weight[at : at + 1], b, (3,))
            for at, b in zip(range(3), (None,) * 3 if own is None else own[:, None], strict=True)
        ]
        torch.testing.assert_close(found, torch.cat(apart))


def mask(
    seed: int, step: int, place: str, rows: int = 256, columns: int = 384, probability: float = 0.5
) -> torch.Tensor:
    """What is kept, as 0 and 1."""
    dropout = CellDropout(probability, seeds=(seed,))
    dropout.begin((step,))
    return (dropout(torch.ones(rows, columns), (rows,), place) != 0).double()


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.9])
def test_as_much_is_dropped_as_is_asked_for(probability: float) -> None:
    """In all, in every row, in every column, and in each of many masks: within 4.5 standard deviations."""
    kept = torch.stack([mask(seed, step, "0.query", probability=probability) for seed in (1, 2) for step in range(4)])
    spread = (probability * (1 - probability)) ** 0.5
    for dims in ((0, 1, 2), (1, 2), (0, 1), (0, 2)):
        share = kept.mean(dim=dims)
        count = kept.numel() / share.numel()
        assert (share - (1 - probability)).abs().max() < 4.5 * spread / count**0.5


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Of two masks, in standard deviations of what independent ones show."""
    left, right = one - one.mean(), other - other.mean()
    return abs(float((left * right).sum() / (left.norm() * right.norm()))) * math.sqrt(one.numel())


def test_rows_columns_steps_seeds_and_places_are_independent() -> None:
    base = mask(1, 0, "0.query")
    others = {
        "next row": (base[1:], base[:-1]),
        "next column": (base[:, 1:], base[:, :-1]),
        "diagonal": (base[1:, 1:], base[:-1, :-1]),
        "half": (base[:128], base[128:]),
        "next step": (base, mask(1, 1, "0.query")),
        "next seed": (base, mask(2, 0, "0.query")),
        "other layer": (base, mask(1, 0, "1.query")),
        "other module": (base, mask(1, 0, "0.value")),
        "turned": (base[:256, :256], base[:256, :256].T),
    }
    assert {name: correlation(*pair) for name, pair in others.items() if correlation(*pair) > 4} == {}


def test_no_two_rows_and_no_two_columns_are_nearly_alike() -> None:
    """Pairs of rows agree in half of their columns, all 32,640 of them; and the other way round."""
    signs = 2 * mask(1, 0, "0.query") - 1
    for own in (signs, signs.T):
        agreement = own @ own.T / own.shape[1] ** 0.5
        agreement.fill_diagonal_(0)
        assert agreement.abs().max() < 6


def test_parity_of_rectangles_is_random() -> None:
    """Four corners of a rectangle are independent: a mask that were a xor of rows and columns would fail here."""
    signs = 2 * mask(1, 0, "0.query") - 1
    corners = signs[:-1, :-1] * signs[1:, :-1] * signs[:-1, 1:] * signs[1:, 1:]
    assert abs(float(corners.mean())) * corners.numel() ** 0.5 < 4


def test_slices_of_a_batch_get_the_slices_of_its_mask() -> None:
    inputs = torch.ones(60, 40)
    whole = CellDropout(0.3, seeds=(1, 2))
    whole.begin((7, 3))
    expected = whole(inputs, (20, 40), "0.query")
    for first, second in ((0, 0), (5, 33), (20, 40)):
        parts = [(0, first, 0, second), (first, 20, second, 40)]
        found: list[list[torch.Tensor]] = [[], []]
        for start, stop, low, high in parts:
            rows = (stop - start, high - low)
            whole.begin((7, 3), {rows: (start, low)})
            both = torch.split(whole(inputs[: sum(rows)], rows, "0.query"), list(rows))
            for own, part in zip(found, both, strict=True):
                own.append(part)
        assert torch.equal(torch.cat([torch.cat(own) for own in found]), expected)


def test_the_number_format_of_inputs_does_not_matter() -> None:
    dropout = CellDropout(0.5, seeds=(1,))
    dropout.begin((0,))
    exact = dropout(torch.ones(9, 16), (9,), "0.output")
    half = dropout(torch.ones(9, 16, dtype=torch.bfloat16), (9,), "0.output")
    assert half.dtype == torch.bfloat16 and torch.equal(half.float(), exact)


def test_adapter_drop_is_uniform_and_a_matter_of_seed_and_step() -> None:
    drop = CellDropout(0.0, (1, 2), layers=3)
    assert drop.left_out(0) == (False, False), "off until a step begins"
    counts = []
    for step in range(400):
        drop.begin((step, step))
        left = [drop.left_out(layer) for layer in range(5)]
        assert left[3] == left[4] == (False, False)
        alone = CellDropout(0.0, (2,), layers=3)
        alone.begin((step,))
        assert [alone.left_out(layer)[0] for layer in range(5)] == [both[1] for both in left]
        counts.append(sum(both[0] for both in left))
        assert [both[0] for both in left[:3]] == [layer < counts[-1] for layer in range(3)]
    assert all(70 < counts.count(number) < 130 for number in range(4))


def test_what_is_left_out_is_zero_in_its_rows_alone() -> None:
    drop = CellDropout(0.0, (1, 2))
    changes = torch.ones(5, 2)
    assert drop.without((False, False), changes, (2, 3)) is changes
    assert drop.without((True, False), changes, (2, 3)).sum(1).tolist() == [0, 0, 2, 2, 2]
