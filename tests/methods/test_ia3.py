"""(IA)³ is what `peft` computes: outputs, gradients, stacks, mergers and files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.modules import MODULE_PATH
from adapterx.backbones.shape import Shape
from adapterx.formats import directory
from adapterx.formats.adapter import PortableAdapter
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.merging import Merging, merge
from adapterx.methods.method import parameters
from adapterx.methods.parameters import initial
from tests.formats.worked import hidden, place
from tests.formats.worked import theirs as outputs
from tests.methods.test_oracles import ours, theirs
from tests.models import encoder
from tests.support.present import present

peft = pytest.importorskip("peft")
SHAPE = Shape(layers=3, hidden=32, intermediate=128)
BASE = BackboneInfo("base", "xlm-roberta", 768, 12, 12, 3072, 250_002, 512)
METHODS = {
    "default": Ia3(),
    "as the library chooses": Ia3(
        target_modules=("attention_output", "key", "output", "value"),
        feedforward_modules=("attention_output", "output"),
    ),
    "outputs": Ia3(target_modules=tuple(MODULE_PATH), feedforward_modules=()),
    "upper": Ia3(target_modules=("intermediate", "output", "query"), layers=(1, 2)),
}


def factors(method: Ia3, seed: int) -> dict[str, Tensor]:
    """Around one, as trained ones are; some of them negative."""
    generator = torch.Generator().manual_seed(seed)
    fresh = initial(parameters(method, SHAPE), seed)
    return {name: one + 0.7 * torch.randn(one.shape, generator=generator) for name, one in fresh.items()}


def library(model: Any, method: Ia3, members: list[dict[str, Tensor]]) -> Any:
    """The library's model with these adapters, all active."""
    layers = [f"encoder.layer.{layer}" for layer in method.adapted(SHAPE.layers)]
    targets, entered = (
        [f"{layer}.{MODULE_PATH[module]}" for layer in layers for module in modules]
        for modules in (method.target_modules, method.entered)
    )
    config = peft.IA3Config(task_type="FEATURE_EXTRACTION", target_modules=targets, feedforward_modules=entered)
    names = [f"member{place}" for place in range(len(members))]
    found = peft.get_peft_model(deepcopy(model), config, adapter_name=names[0])
    for name in names[1:]:
        found.add_adapter(name, config)
    found.base_model.set_adapter(names)
    modules = dict(found.base_model.model.named_modules())
    for name, tensors in zip(names, members, strict=True):
        for key, tensor in tensors.items():
            modules[key.removesuffix(".ia3_l")].ia3_l[name].data.copy_(tensor)
    return found


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("slots", [1, 2], ids=["one", "stacked"])
@pytest.mark.parametrize("name", METHODS)
def test_equals_peft(architecture: str, slots: int, name: str) -> None:
    model, method = encoder(architecture), METHODS[name]
    own = [factors(method, seed) for seed in range(slots)]
    there = library(model, method, own)
    expected = theirs(there)
    found, stacked = ours(model, method, own)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    modules = dict(there.base_model.model.named_modules())
    for place_, slot in enumerate(stacked):
        for key, tensor in slot.items():
            gradient = modules[key.removesuffix(".ia3_l")].ia3_l[f"member{place_}"].grad
            torch.testing.assert_close(present(tensor.grad)[0], gradient, atol=1e-4, rtol=1e-4)


def test_starts_at_the_backbone() -> None:
    assert all(torch.equal(one, torch.ones(one.shape)) for one in initial(parameters(Ia3(), SHAPE), 1).values())


@pytest.mark.parametrize("weights", [(0.7, 0.3), (1.0, -0.5, 2.0)], ids=str)
def test_sums_merge_as_in_peft(weights: tuple[float, ...]) -> None:
    own = [factors(Ia3(), seed) for seed in range(len(weights))]
    there = library(encoder("xlm-roberta"), Ia3(), own)
    there.base_model.add_weighted_adapter([f"member{place}" for place in range(len(own))], list(weights), "merged")
    modules = dict(there.base_model.model.named_modules())
    for key, tensor in merge(Ia3(), own, Merging("linear", weights), SHAPE, 0).items():
        torch.testing.assert_close(tensor, modules[key.removesuffix(".ia3_l")].ia3_l["merged"].data)


def test_a_product_is_what_active_adapters_are_together(tmp_path: Path) -> None:
    """The merged adapter, written to the library's files and loaded there, equals two active ones."""
    model, method = encoder("xlm-roberta"), METHODS["default"]
    own = [factors(method, seed) for seed in range(2)]
    merged = PortableAdapter(method, merge(method, own, Merging("product"), SHAPE, 0))
    directory.write(tmp_path, "peft", merged, place(), "merged")
    alone = peft.PeftModel.from_pretrained(deepcopy(model), tmp_path)
    expected = outputs(library(model, method, own))
    torch.testing.assert_close(outputs(alone), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(hidden(model, merged), expected, atol=1e-5, rtol=1e-5)


def test_powers_keep_signs() -> None:
    one = {"x": torch.tensor([[4.0, -4.0, 0.0]])}
    found = merge(Ia3(), [one, {"x": torch.ones(1, 3)}], Merging("product", (0.5, 3.0)), SHAPE, 0)["x"]
    torch.testing.assert_close(found, torch.tensor([[2.0, -2.0, 0.0]]))


@pytest.mark.parametrize("name", METHODS)
def test_goes_to_peft_and_back(name: str, tmp_path: Path) -> None:
    model, method = encoder("xlm-roberta"), METHODS[name]
    own = PortableAdapter(method, factors(method, 3))
    directory.write(tmp_path, "peft", own, place(), "mine")
    there = peft.PeftModel.from_pretrained(deepcopy(model), tmp_path)
    assert sum("ia3_l" in key for key in there.state_dict()) == len(own.tensors)
    torch.testing.assert_close(hidden(model, own), outputs(there), atol=1e-5, rtol=1e-5)
    back = directory.read(tmp_path, place())
    assert back.method == method
    assert all(torch.equal(back.tensors[key], tensor) for key, tensor in own.tensors.items())


def test_made_there_by_endings_is_read_here(tmp_path: Path) -> None:
    """`output.dense` ends the attention's output too, in the library's own choice for these models."""
    model = encoder("xlm-roberta")
    config = peft.IA3Config(
        task_type="FEATURE_EXTRACTION",
        target_modules=["key", "value", "output.dense"],
        feedforward_modules=["output.dense"],
    )
    there = peft.get_peft_model(deepcopy(model), config)
    torch.manual_seed(1)
    for key, one in there.named_parameters():
        if "ia3_l" in key:
            one.data += 0.5 * torch.randn(one.shape)
    there.save_pretrained(tmp_path)
    back = directory.read(tmp_path, place())
    assert back.method == METHODS["as the library chooses"]
    torch.testing.assert_close(hidden(model, back), outputs(there), atol=1e-5, rtol=1e-5)


def test_counts_what_it_trains() -> None:
    shape = Shape(BASE.layers, BASE.hidden, BASE.intermediate)
    assert Ia3().parameters(BASE) == 12 * (768 + 768 + 3072)
    for method in METHODS.values():
        assert method.parameters(BASE) == sum(one.numel for one in parameters(method, shape))


@pytest.mark.parametrize(("budget", "layers"), [("0.01%", "top-6"), ("5%", "all")])
def test_a_budget_chooses_the_highest_layers(budget: str, layers: str) -> None:
    found = Ia3.model_validate({"budget": budget}).sized(BASE)
    assert (found.layers, found.budget) == (layers, None)
    allowed = float(budget.removesuffix("%")) / 100 * BASE.parameters
    assert found.parameters(BASE) <= allowed
    assert layers == "all" or Ia3(layers="top-7").parameters(BASE) > allowed


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"budget": "1%", "layers": "top-2"}, "gives both layers and budget"),
        ({"target_modules": ["key"], "feedforward_modules": ["output"]}, "not among its target_modules"),
        (
            {"target_modules": ["query"], "feedforward_modules": ["query"]},
            "scales the inputs of attention_output and output",
        ),
    ],
)
def test_what_does_not_fit_together_is_said(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Ia3.model_validate(settings)


def test_a_budget_below_one_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="the smallest adapter has 4,608"):
        Ia3.model_validate({"budget": "0.0001%"}).sized(BASE)
