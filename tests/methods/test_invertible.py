"""Invertible adapters and the masked-LM head compute what `adapters` and `transformers` do, and undo themselves."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import XLMRobertaForMaskedLM, XLMRobertaXLForMaskedLM

from adapterx.methods.bottleneck import invertible
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.method import Slot, adapters, lowest_layer, parameters
from adapterx.methods.parameters import initial
from adapterx.methods.rows import CellDropout
from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.masked_lm import head as masked_lm
from tests.methods.test_oracles import LENGTHS, SHAPE, adapterhub_tensor, ours, tensors_of, theirs
from tests.models import config, encoder
from tests.support.present import present

METHOD = Bottleneck(reduction_factor=4.0, invertible="nice")
NAMES = {"lm_head.dense": "dense", "lm_head.layer_norm": "norm", "lm_head": "output"}


def library_tensor(model: Any, key: str, name: str) -> torch.nn.Parameter:
    """Where `adapters` keeps a tensor of ours."""
    if not key.startswith(invertible.PREFIX):
        return adapterhub_tensor(model, key, name)
    part, direction, kind = key.removeprefix(invertible.PREFIX).split(".")
    block = getattr(model.invertible_adapters[name], part)
    return cast(torch.nn.Parameter, getattr(block[0 if direction == "down" else 2], kind))


@pytest.mark.parametrize("cells", [1, 3])
def test_the_inverse_undoes_it(cells: int) -> None:
    own = [tensors_of(METHOD, seed, scale=1.0) for seed in range(cells)]
    stacked = {name: torch.stack([one[name] for one in own]) for name in own[0]}
    rows, hidden = (5, 0, 2)[:cells], torch.randn(sum((5, 0, 2)[:cells]), 32)
    changed = invertible.forward(METHOD, stacked, hidden, rows)
    assert (changed - hidden).abs().max() > 0.1
    torch.testing.assert_close(invertible.inverse(METHOD, stacked, changed, rows), hidden, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("above", [None, Bottleneck(reduction_factor=4.0)], ids=["alone", "below-a-task"])
def test_it_equals_adapterhub(above: Bottleneck | None) -> None:
    """`seq_bn_inv`, alone and at the bottom of a stack: outputs and gradients."""
    library = pytest.importorskip("adapters")
    model = encoder("xlm-roberta")
    with_adapters: Any = deepcopy(model)
    library.init(with_adapters)
    with_adapters.add_adapter("language", config=library.AdapterConfig.load("seq_bn_inv", reduction_factor=4))
    slots = [("language", METHOD, tensors_of(METHOD, 0))]
    with_adapters.set_active_adapters("language")
    if above is not None:
        with_adapters.add_adapter("task", config=library.AdapterConfig.load("seq_bn", reduction_factor=4))
        with_adapters.set_active_adapters(library.Stack("language", "task"))
        slots.append(("task", above, tensors_of(above, 1)))
    for name, _, tensors in slots:
        for key, tensor in tensors.items():
            library_tensor(with_adapters, key, name).data.copy_(tensor)
    expected = theirs(with_adapters.requires_grad_(True).eval())
    with patch("tests.methods.test_oracles.Slot", side_effect=lambda method, one: Slot(_method_of(one), one)):
        hidden, stacked = ours(model, METHOD, [tensors for *_, tensors in slots])
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)
    for (name, *_), slot in zip(slots, stacked, strict=True):
        for key, tensor in slot.items():
            gradient = library_tensor(with_adapters, key, name).grad
            torch.testing.assert_close(present(tensor.grad)[0], gradient, atol=1e-4, rtol=1e-4)


def _method_of(tensors: dict[str, Tensor]) -> Bottleneck:
    inverts = any(key.startswith(invertible.PREFIX) for key in tensors)
    return METHOD if inverts else Bottleneck(reduction_factor=4.0)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("rows", [2, 256], ids=["in-parts", "at-once"])
def test_the_head_equals_the_library_s(architecture: str, rows: int) -> None:
    """Loss and gradients at the rows to be guessed, tied embeddings included."""
    torch.manual_seed(0)
    of_library: dict[str, Callable[..., Any]] = {
        "xlm-roberta": XLMRobertaForMaskedLM,
        "xlm-roberta-xl": XLMRobertaXLForMaskedLM,
    }
    model = of_library[architecture](config(architecture)).eval()
    with torch.no_grad():
        for parameter in model.lm_head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    hidden, labels = torch.randn(7, 32), torch.randint(120, (7,))
    theirs_in, ours_in = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    expected = cross_entropy(model.lm_head(theirs_in), labels)
    torch.autograd.backward(expected)
    tensors = {
        f"h.{own}.{part}": _of(model, name, part).detach() for name, own in NAMES.items() for part in _parts(own)
    }
    embeddings = model.get_input_embeddings().weight.detach()
    with patch.object(masked_lm, "_ROWS", rows):
        states = masked_lm.transform("h.", tensors, ours_in)
        found = masked_lm.loss(states, embeddings, tensors["h.output.bias"], labels, torch.full((7,), 1 / 7))
    torch.autograd.backward(found)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours_in.grad, theirs_in.grad, atol=1e-6, rtol=1e-5)
    shapes = {f"h.{one.name}": one.shape for one in kind("masked-lm").tensors(32, 120)}
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == shapes


def _parts(own: str) -> tuple[str, ...]:
    return ("bias",) if own == "output" else ("weight", "bias")


def _of(model: nn.Module, name: str, kind: str) -> Tensor:
    return cast(Tensor, getattr(model.get_submodule(name), kind))


def test_masked_language_modelling_equals_adapterhub() -> None:
    """The inverse acts between the head's norm and the embeddings."""
    library = pytest.importorskip("adapters")
    torch.manual_seed(1)
    model = library.XLMRobertaAdapterModel(config("xlm-roberta")).eval()
    model.add_adapter("language", config=library.AdapterConfig.load("seq_bn_inv", reduction_factor=4))
    model.add_masked_lm_head("language")
    model.set_active_adapters("language")
    tensors = tensors_of(METHOD, 0)
    for key, tensor in tensors.items():
        library_tensor(model.roberta, key, "language").data.copy_(tensor)
    dense, _, norm, decoder = model.heads["language"]
    tokens = torch.from_numpy(np.random.default_rng(0).integers(3, 120, size=sum(LENGTHS)))
    with torch.no_grad():
        for parameter in (dense.bias, norm.weight, norm.bias, decoder.bias):
            parameter.add_(0.1 * torch.randn_like(parameter))
        outputs = [model(input_ids=part[None], output_hidden_states=True) for part in torch.split(tokens, LENGTHS)]
        expected = torch.cat([output.logits[0] for output in outputs])
        states = torch.cat([output.hidden_states[-1][0] for output in outputs])
        modules = {"dense": dense, "norm": norm, "output": decoder}
        head = {f"h.{own}.{kind}": getattr(modules[own], kind) for own in modules for kind in _parts(own)}
        stacked = {name: tensor[None] for name, tensor in tensors.items()}
        active = adapters([Slot(METHOD, stacked)], CellDropout(0.0, (0,)))
        rows = active.unembedding(masked_lm.transform("h.", head, states), (len(states),))
        found = rows @ decoder.weight.T + head["h.output.bias"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_nothing_lies_below_it() -> None:
    upper = Bottleneck(invertible="nice", layers=(2,))
    slot = Slot(upper, initial(parameters(upper, SHAPE), 0))
    assert lowest_layer([slot], 3) == 0
    assert lowest_layer([Slot(Bottleneck(layers=(2,)), {})], 3) == 2
