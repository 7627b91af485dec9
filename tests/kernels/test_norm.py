"""Addition and layer norm by the kernel against the library, with both gradients of what goes two ways."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from adapterx.backbones.residual import add_norm, fork, fork_normed
from adapterx.kernels import choice
from tests.kernels.compared import distance

CPU = torch.device("cpu")


def norm_of(width: int, number: torch.dtype = torch.float32) -> nn.LayerNorm:
    torch.manual_seed(width)
    norm = nn.LayerNorm(width, eps=1e-5)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.requires_grad_(False).to(number)


@pytest.mark.parametrize("width", [32, 80, 768])
@pytest.mark.parametrize("ways", ["products", "past", "both"])
def test_after_the_block(ways: str, width: int) -> None:
    norm = norm_of(width)
    given = [torch.randn(9, width) * 3 + 1 for _ in range(2)]
    weights = [torch.randn(9, width) * (ways in (name, "both")) for name in ("products", "past")]
    found = []
    for names in ([], ["norm"]):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        with choice.emulated(names):  # type: ignore[arg-type]
            parts = fork(add_norm(leaves[0], leaves[1], norm))
            assert choice.runs("norm", CPU) == bool(names) == (parts[0] is not parts[1])
            used = [(part * weight).sum() for part, weight in zip(parts, weights, strict=True) if weight.any()]
            found.append([*parts, *torch.autograd.grad(torch.stack(used).sum(), leaves)])
    for theirs, mine in zip(*found, strict=True):
        assert distance(mine.detach(), theirs.detach()) < 1e-5


@pytest.mark.parametrize("ways", ["products", "past", "both"])
def test_before_the_block(ways: str) -> None:
    norm = norm_of(80)
    given = torch.randn(9, 80) * 3 + 1
    weights = [torch.randn(9, 80) * (ways in (name, "both")) for name in ("products", "past")]
    found = []
    for names in ([], ["norm"]):
        leaf = given.clone().requires_grad_()
        with choice.emulated(names):  # type: ignore[arg-type]
            parts = fork_normed(leaf * 1.0, norm)
            used = [(part * weight).sum() for part, weight in zip(parts, weights, strict=True) if weight.any()]
            found.append([*parts, *torch.autograd.grad(torch.stack(used).sum(), leaf)])
            assert choice.runs("norm", CPU) == bool(names)
    for theirs, mine in zip(*found, strict=True):
        assert distance(mine.detach(), theirs.detach()) < 1e-5


def test_bfloat16_is_within_its_rounding() -> None:
    """Within 1 % of float32: the interpreter cuts to 8 bits where a GPU rounds."""
    given: list[Tensor] = [torch.randn(9, 64).bfloat16() for _ in range(2)]
    found = []
    for number, names in ((torch.float32, []), (torch.bfloat16, ["norm"])):
        leaves = [tensor.to(number).requires_grad_() for tensor in given]
        with choice.emulated(names):  # type: ignore[arg-type]
            out = add_norm(leaves[0], leaves[1], norm_of(64, number))
            found.append([out, *torch.autograd.grad(out.float().square().sum(), leaves)])
    assert distance(found[1][0].detach(), found[0][0].detach()) < 1e-2
    # What is left of the gradient is a small difference of large numbers, rounded before it is taken.
    assert all(distance(mine, theirs) < 3e-2 for theirs, mine in zip(found[0][1:], found[1][1:], strict=True))


def test_a_norm_that_is_trained_is_the_librarys() -> None:
    norm = nn.LayerNorm(32)
    with choice.emulated(["norm"]):
        out = add_norm(torch.randn(3, 32), torch.randn(3, 32), norm)
        assert fork(out)[0] is fork(out)[1]
        assert torch.autograd.grad(out.sum(), norm.bias)[0].tolist() == [3.0] * 32
