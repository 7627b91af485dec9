"""The feed-forward block with GELU in the products' epilogues against the library's, with the inputs' gradient."""

from __future__ import annotations

import pytest
import torch

from adapterx.backbones.products import Joint
from adapterx.kernels import choice
from tests.kernels.compared import distance


@pytest.mark.parametrize(("rows", "hidden", "inner"), [(5, 32, 128), (200, 48, 150), (128, 64, 256)])
@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
def test_outputs_and_gradient(number: torch.dtype, rows: int, hidden: int, inner: int) -> None:
    """bfloat16 within 2 % of float32: two products of numbers that the interpreter cuts to 8 bits."""
    from adapterx.kernels.gelu import FeedForward

    torch.manual_seed(0)
    shapes = ((rows, hidden), (inner, hidden), (inner,), (hidden, inner), (hidden,), (rows, hidden))
    inputs, w1, b1, w2, b2, weights = (torch.randn(shape).div(shape[-1] ** 0.5).to(number) for shape in shapes)
    exact = [tensor.float() for tensor in (inputs, w1, b1, w2, b2, weights)]
    leaf = exact[0].requires_grad_()
    wide = torch.nn.functional.linear(leaf, exact[1], exact[2])
    right = torch.nn.functional.linear(torch.nn.functional.gelu(wide), exact[3], exact[4])
    right_gradient = torch.autograd.grad((right * exact[5]).sum(), leaf)[0]
    own = inputs.clone().requires_grad_()
    first, second = Joint(w1, b1), Joint(w2, b2)
    with choice.emulated(["gelu"]):
        out = FeedForward.apply(own, (w1, b1), first, w2, second)  # type: ignore[no-untyped-call]
        gradient = torch.autograd.grad((out * weights).sum(), own)[0]
        with torch.no_grad():  # nothing is kept
            again = FeedForward.apply(own, (w1, b1), first, w2, second)  # type: ignore[no-untyped-call]
            assert torch.equal(again, out)
    bound = 1e-5 if number == torch.float32 else 2e-2
    assert distance(out.detach(), right.detach()) < bound and distance(gradient, right_gradient) < bound
