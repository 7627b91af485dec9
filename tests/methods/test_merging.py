"""Merged adapters equal those of `peft`; what is random keeps its density and follows its seed."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from adapterx.backbones.shape import Shape
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.merging import Merging, member_weights, merge, merged_method
from adapterx.methods.method import parameters
from adapterx.methods.parameters import initial
from tests.models import encoder

SHAPE = Shape(layers=2, hidden=32, intermediate=128)
LORA = Lora(rank=4, alpha=6.0, target_modules=("query", "intermediate"))
BOTTLENECK = Bottleneck(reduction_factor=4.0)


def members(method: Lora | Bottleneck, number: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(number)
    fresh = initial(parameters(method, SHAPE), 0)
    return [{n: torch.randn(t.shape, generator=generator) for n, t in fresh.items()} for _ in range(number)]


@pytest.mark.parametrize("weights", [(0.7, 0.3), (1.0, -0.5, 2.0)], ids=str)
@pytest.mark.parametrize(
    ("arithmetic", "density"),
    [("linear", 0.5), ("ties", 0.3), ("ties", 1.0), ("dare_linear", 1.0), ("dare_ties", 1.0), ("svd", 0.5), ("cat", 1)],
)
def test_lora_merges_as_peft_does(arithmetic: str, density: float, weights: tuple[float, ...]) -> None:
    """The update of every layer, scaling included, is the same; so are A and B up to the scaling."""
    peft = pytest.importorskip("peft")
    own = members(LORA, len(weights))
    names = [f"member{index}" for index in range(len(own))]
    settings = peft.LoraConfig(r=4, lora_alpha=6, target_modules=["query", "intermediate.dense"])
    library = peft.get_peft_model(deepcopy(encoder("xlm-roberta", layers=2)), settings, adapter_name=names[0])
    for name in names[1:]:
        library.add_adapter(name, settings)
    modules = dict(library.base_model.model.named_modules())
    for name, tensors in zip(names, own, strict=True):
        for key, tensor in tensors.items():
            path, matrix = key.rsplit(".", 1)
            getattr(modules[path], matrix)[name].weight.data.copy_(tensor)
    library.base_model.add_weighted_adapter(names, list(weights), "merged", arithmetic, density=density)
    merging = Merging(arithmetic, weights, density)
    merged, method = merge(LORA, own, merging, SHAPE, 0), merged_method(LORA, merging, len(own))
    assert isinstance(method, Lora)
    assert {name: t.shape for name, t in merged.items()} == {p.name: p.shape for p in parameters(method, SHAPE)}
    for key, tensor in merged.items():
        if key.endswith("lora_A"):
            module = modules[key.removesuffix(".lora_A")]
            update = method.alpha / method.rank * merged[key.replace("lora_A", "lora_B")] @ tensor
            torch.testing.assert_close(update, module.get_delta_weight("merged"), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("arithmetic", ["dare_linear", "dare_ties"])
def test_dare_keeps_its_density_and_follows_the_seed(arithmetic: str) -> None:
    own = members(LORA.model_copy(update={"rank": 16}), 2)
    merging = Merging(arithmetic, (1.0, 0.0), 0.25)
    first, again, other = (merge(LORA.model_copy(update={"rank": 16}), own, merging, SHAPE, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    if arithmetic == "dare_linear":
        entries = torch.cat([tensor.flatten() for tensor in first.values()])
        given = torch.cat([own[0][name].flatten() for name in first])
        assert abs((entries != 0).float().mean().item() - 0.25) < 0.01
        torch.testing.assert_close(entries[entries != 0], given[entries != 0] / 0.25)


def test_bottlenecks_average_and_add_their_differences() -> None:
    start, (one, two) = initial(parameters(BOTTLENECK, SHAPE), 3), members(BOTTLENECK, 2)
    mean = merge(BOTTLENECK, [one, two], Merging("average"), SHAPE, 3)
    third = merge(BOTTLENECK, [one, two], Merging("average", (0.25, 0.75)), SHAPE, 3)
    added = merge(BOTTLENECK, [one, two], Merging("task_arithmetic"), SHAPE, 3)
    for name, value in start.items():
        torch.testing.assert_close(mean[name], (one[name] + two[name]) / 2)
        torch.testing.assert_close(third[name], 0.25 * one[name] + 0.75 * two[name])
        torch.testing.assert_close(added[name], one[name] + two[name] - value)


def test_equal_weights_are_the_default() -> None:
    assert member_weights(Merging("linear"), 4) == (0.25,) * 4
    assert member_weights(Merging("ties"), 4) == (1.0,) * 4


def test_what_is_not_defined_is_said() -> None:
    with pytest.raises(ValueError, match="'average' is not defined for Lora: linear, ties"):
        merge(LORA, members(LORA, 2), Merging("average"), SHAPE, 0)
    with pytest.raises(ValueError, match="'svd' is not defined for Bottleneck: average, task_arithmetic are"):
        merge(BOTTLENECK, members(BOTTLENECK, 2), Merging("svd"), SHAPE, 0)
    with pytest.raises(ValueError, match="3 weights for 2 members"):
        merge(LORA, members(LORA, 2), Merging("linear", (1.0, 1.0, 1.0)), SHAPE, 0)
