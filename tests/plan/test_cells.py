from __future__ import annotations

from adapterx.plan import Cell, expand
from tests.plan.conftest import recipe


def test_the_grid_is_the_product_of_the_axes() -> None:
    cells = expand(recipe())
    assert len(cells) == len(set(cells)) == 2 * 2 * (1 + 2 * 2) * 2 * 2
    assert cells[0] == Cell("small", "lora", "none", "none", "months", 1)
    assert {cell.transfer for cell in cells if cell.intermediate == "none"} == {"none"}


def test_skip_leaves_out_what_matches_every_axis_named() -> None:
    full = expand(recipe())
    skip = [{"methods": "lora", "transfers": ["stack", "none"]}, {"seeds": 2, "backbones": "base"}]
    left = expand(recipe(skip=skip))
    assert set(full) - set(left) == {
        cell
        for cell in full
        if (cell.method == "lora" and cell.transfer in ("stack", "none"))
        or (cell.seed == 2 and cell.backbone == "base")
    }
    assert left == [cell for cell in full if cell in set(left)]


def test_labels_read_like_the_cell() -> None:
    assert Cell("small", "lora", "multi", "continue", "months", 1).label == "small.lora.multi.continue.months.seed1"
    assert Cell("small", "lora", "none", "none", "months", 1).label == "small.lora.none.months.seed1"
