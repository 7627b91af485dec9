"""Products of ragged rows with each cell's own weights, through Triton's interpreter, against the library's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from adapterx.backbones.modules import Module
from adapterx.backbones.products import Joint
from adapterx.kernels import choice
from adapterx.kernels.tiles import TILE, CellRows, tiled
from adapterx.methods.lora.layers import LoraAdapters
from adapterx.methods.lora.spec import Lora
from adapterx.methods.rows import CellDropout, linear_by_cell
from tests.kernels.compared import distance

RAGGED = (40, 1, 33, 64, 7)
CPU = torch.device("cpu")


def rows_of(counts: Sequence[int]) -> tuple[int, ...]:
    return CellRows.of(counts, tiled(counts))


def test_tiles_are_of_one_cell_and_as_many_whatever_the_cells_have() -> None:
    for counts in (RAGGED, (1, 1, 1, 1, 141), (0, 145, 0, 0, 0), (29,) * 5):
        table = tiled(counts)
        assert table.tiles.shape == (sum(counts) // TILE + len(counts), 3)
        covered: list[int] = []
        for cell, first, count in table.tiles.tolist():
            assert count == 0 or (sum(counts[:cell]) <= first and first + count <= sum(counts[: cell + 1]))
            covered += range(first, first + count)
        assert covered == list(range(sum(counts)))
        assert table.starts.tolist() == [sum(counts[:cell]) for cell in range(len(counts) + 1)]


@pytest.mark.parametrize(("wide_in", "wide_out"), [(48, 12), (12, 100), (64, 64)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_by_cell(wide_in: int, wide_out: int, with_bias: bool) -> None:
    torch.manual_seed(0)
    made = [torch.randn(sum(RAGGED), wide_in), torch.randn(len(RAGGED), wide_out, wide_in)]
    made += [torch.randn(sum(RAGGED), wide_out), torch.randn(len(RAGGED), wide_out)][: 1 + with_bias]
    weights = torch.randn(sum(RAGGED), wide_out)
    found = []
    for names in ([], ["products"]):
        inputs, weight, base, *bias = (tensor.clone().requires_grad_() for tensor in made)
        with choice.emulated(names):  # type: ignore[arg-type]
            out = linear_by_cell(inputs, weight, bias[0] if bias else None, rows_of(RAGGED), base)
            assert choice.runs("products", CPU) == bool(names)
            found.append([out, *torch.autograd.grad((out * weights).sum(), [inputs, weight, base, *bias])])
    for theirs, mine in zip(*found, strict=True):
        assert distance(mine.detach(), theirs.detach()) < 1e-5


def lora(targets: Sequence[Module], rank: int, stacked: bool, width: int) -> tuple[LoraAdapters, list[Tensor]]:
    """Adapters of the cells, upon frozen ones of another rank where they are stacked; and their trained tensors."""
    generator = torch.Generator().manual_seed(1)
    slots = []
    for own in (3, rank) if stacked else (rank,):
        tensors = {}
        for module in targets:
            path = f"encoder.layer.0.attention.self.{module}"
            tensors[f"{path}.lora_A"] = torch.randn(len(RAGGED), own, width, generator=generator)
            tensors[f"{path}.lora_B"] = torch.randn(len(RAGGED), width, own, generator=generator)
        slots.append((Lora(rank=own, alpha=3.0, target_modules=tuple(targets)), tensors))
    trained = [tensor.requires_grad_() for tensor in slots[-1][1].values()]
    return LoraAdapters(slots, CellDropout(0.0, [1] * len(RAGGED))), trained


@pytest.mark.parametrize("targets", [("query", "value"), ("key",), ("query", "key", "value")])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_lora_of_modules_that_share_their_input(together: bool, stacked: bool, targets: tuple[Module, ...]) -> None:
    """`together` with the frozen product, whose inputs' gradient it is added to."""
    torch.manual_seed(0)
    width = 72
    product = Joint(torch.randn(3 * width, width), torch.randn(3 * width))
    values, weights = torch.randn(sum(RAGGED), width), torch.randn(sum(RAGGED), 3 * width)
    found = []
    for names in ([], ["lora"]):
        adapters, trained = lora(targets, 5, stacked, width)
        inputs = values.clone().requires_grad_()
        rows = rows_of(RAGGED)
        with choice.emulated(names):  # type: ignore[arg-type]
            if together:
                out = adapters.product(0, ("query", "key", "value"), product, inputs, rows)
            else:
                out = adapters.linear(0, ("query", "key", "value"), inputs, product(inputs), rows)
            found.append([out, *torch.autograd.grad((out * weights).sum(), [inputs, *trained])])
            assert choice.runs("lora", CPU) == bool(names)
    for theirs, mine in zip(*found, strict=True):
        assert distance(mine.detach(), theirs.detach()) < 1e-5


def test_a_cell_that_is_not_finite_stays_alone() -> None:
    adapters, trained = lora(("query", "value"), 5, False, 32)
    with torch.no_grad():
        trained[0][1].fill_(torch.nan)
    inputs = torch.randn(sum(RAGGED), 32, requires_grad=True)
    with choice.emulated(["lora"]):
        out = adapters.linear(0, ("query", "key", "value"), inputs, torch.zeros(sum(RAGGED), 96), rows_of(RAGGED))
        into = torch.autograd.grad(out.sum(), [inputs, *trained])
    assert out[:40].isfinite().all() and out[41:].isfinite().all() and out[40:41].isnan().any()
    assert into[0][41:].isfinite().all() and all(one[[0, 2, 3, 4]].isfinite().all() for one in into[1:])


def test_bfloat16_is_within_its_rounding() -> None:
    """Within 3 %: inputs, weights and images are rounded to 2⁻⁸, by the interpreter cut."""
    torch.manual_seed(0)
    adapters, trained = lora(("query", "value"), 8, False, 64)
    values = torch.randn(sum(RAGGED), 64)
    found = []
    for number, names in ((torch.float32, []), (torch.bfloat16, ["lora"])):
        inputs = values.to(number).requires_grad_()
        with choice.emulated(names):  # type: ignore[arg-type]
            out = adapters.linear(
                0, ("query", "key", "value"), inputs, torch.zeros(145, 192).to(number), rows_of(RAGGED)
            )
            found.append([out, *torch.autograd.grad(out.float().square().sum(), [inputs, *trained])])
    for right, mine in zip(*found, strict=True):
        assert distance(mine.detach(), right.detach()) < 3e-2
