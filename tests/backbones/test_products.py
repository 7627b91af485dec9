"""Frozen products are `nn.Linear`'s, forward and in the gradient of their inputs, and leave their weights alone."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from adapterx.backbones import products
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.products import Converted, Joint, Modules, Products, Reordered, reordering_pays
from adapterx.machine import kernels
from tests.backbones.test_packed import LENGTHS, batch_of, reference
from tests.models import encoder

needs_onednn = pytest.mark.skipif(
    not reordering_pays([nn.Linear(2, 2)]), reason="this torch has no oneDNN to reorder weights for"
)


@needs_onednn
@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize(("wide_in", "wide_out"), [(32, 96), (96, 32), (33, 17)])
def test_reordered_weights_give_the_layers_outputs_and_input_gradients(rows: int, wide_in: int, wide_out: int) -> None:
    torch.manual_seed(rows)
    layer = nn.Linear(wide_in, wide_out).requires_grad_(False)
    own = Reordered(layer.weight, layer.bias)
    for _ in range(2):  # the second time with copies that are there
        inputs = torch.randn(rows, wide_in, requires_grad=True)
        weight = torch.randn(rows, wide_out)
        outputs, expected = own(inputs), layer(inputs)
        torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-5)
        (found,) = torch.autograd.grad((outputs * weight).sum(), inputs)
        (wanted,) = torch.autograd.grad((expected * weight).sum(), inputs)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@needs_onednn
def test_a_strided_gradient_or_input_is_taken_as_it_is_meant() -> None:
    layer = nn.Linear(8, 6).requires_grad_(False)
    own = Reordered(layer.weight, layer.bias)
    inputs = torch.randn(8, 5).T.requires_grad_()
    torch.testing.assert_close(own(inputs), layer(inputs), atol=1e-6, rtol=1e-5)
    (found,) = torch.autograd.grad(own(inputs).T.contiguous().T.sum(), inputs)
    (expanded,) = torch.autograd.grad(own(inputs).sum(), inputs)  # the gradient of a sum is one number, expanded
    (wanted,) = torch.autograd.grad(layer(inputs).sum(), inputs)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(expanded, wanted, atol=1e-6, rtol=1e-5)


@needs_onednn
def test_nothing_is_kept_for_a_gradient_nobody_asks_for() -> None:
    layer = nn.Linear(8, 6).requires_grad_(False)
    own = Reordered(layer.weight, layer.bias)
    assert not own(torch.randn(3, 8)).requires_grad
    assert own._backward is None, "the copy of the other direction is made when it is needed"
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        torch.autograd.backward(own(torch.randn(3, 8, requires_grad=True)).sum())
    assert not [tensor for tensor in saved if tensor.shape == (3, 8)]
    assert layer.weight.grad is None and layer.bias.grad is None


class Doubled(nn.Linear):
    """As a quantised layer is one: a `Linear` whose weight is not what it multiplies with."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features)
        self.weight.data, self.bias.data = layer.weight.data / 2, layer.bias.data
        self.calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return nn.functional.linear(inputs, 2 * self.weight, self.bias)


def every_linear(model: Any, change: Any) -> list[Any]:
    changed = []
    for layer in model.encoder.layer:
        own = layer.attention.self
        for parent, name in (
            *((own, name) for name in ("query", "key", "value")),
            (layer.attention.output, "dense"),
            (layer.intermediate, "dense"),
            (layer.output, "dense"),
        ):
            setattr(parent, name, change(getattr(parent, name)))
            changed.append(getattr(parent, name))
    return changed


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
def test_layers_that_are_not_plain_are_called_as_they_are(architecture: str) -> None:
    model = encoder(architecture)
    tokens, batch = batch_of(LENGTHS)
    expected = torch.cat(reference(model, tokens, LENGTHS))
    doubled = every_linear(model, Doubled)
    packed = PackedEncoder(model)
    assert all(isinstance(one, Modules) for layer in packed.products for one in layer.values())
    with torch.no_grad():
        torch.testing.assert_close(packed(batch), expected, atol=1e-4, rtol=0)
    assert all(layer.calls == 1 for layer in doubled)


def test_one_odd_layer_among_three_keeps_them_apart() -> None:
    model = encoder("xlm-roberta")
    tokens, batch = batch_of(LENGTHS)
    expected = torch.cat(reference(model, tokens, LENGTHS))
    own = cast(Any, model).encoder.layer[1].attention.self
    own.key = Doubled(own.key)
    packed = PackedEncoder(model)
    kinds = {key: type(one) for key, one in packed.products[1].items()}
    assert kinds["query", "key", "value"] is kinds["key", "value"] is Modules
    assert kinds["output",] is not Modules and type(packed.products[0]["query", "key", "value"]) is not Modules
    with torch.no_grad():
        torch.testing.assert_close(packed(batch), expected, atol=1e-4, rtol=0)


def test_other_numbers_and_too_many_are_not_reordered(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(8, 6)
    assert not reordering_pays([layer, nn.Linear(8, 6).to(torch.bfloat16)])
    assert not reordering_pays([nn.Linear(8, 6, device="meta")])
    monkeypatch.setattr(products, "PACKING_LIMIT", layer.weight.nbytes)
    assert not reordering_pays([layer])
    (plain,) = Products(torch.float32, False).of([layer])
    assert isinstance(plain, Joint)
    inputs = torch.randn(3, 8)
    assert torch.equal(plain(inputs), layer(inputs))
    monkeypatch.setattr(kernels, "multiplies_bfloat16", lambda: False)
    half = PackedEncoder(encoder("xlm-roberta").bfloat16())
    assert all(isinstance(one, Converted) for own in half.products for one in own.values())


def test_several_layers_stand_side_by_side() -> None:
    layers = [Doubled(nn.Linear(8, 6)), Doubled(nn.Linear(8, 6))]
    apart, first, rest = Products(torch.float32, True).of(layers)
    inputs = torch.randn(3, 8)
    torch.testing.assert_close(apart(inputs), torch.cat([layer(inputs) for layer in layers], dim=1))
    assert torch.equal(torch.cat([first(inputs), rest(inputs)], dim=1), apart(inputs))
