"""Our adapters compute what `peft` and AdapterHub's `adapters` compute: outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from adapterx.backbones.layout import Sequences, pack
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.shape import Shape
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot, adapters, parameters
from adapterx.methods.parameters import initial
from adapterx.methods.rows import CellDropout
from tests.cells import METHODS
from tests.models import encoder
from tests.support.present import present

LENGTHS = [4, 9, 1, 6]
SHAPE = Shape(layers=3, hidden=32, intermediate=128)
PLACEMENTS = {"sequential": "seq_bn", "double": "double_seq_bn", "parallel": "par_bn"}


def tensors_of(method: MethodSpec, seed: int, scale: float = 0.2) -> dict[str, Tensor]:
    """Adapter tensors none of which is zero, so that every part of the formula shows."""
    generator = torch.Generator().manual_seed(seed)
    fresh = initial(parameters(method, SHAPE), seed)
    return {name: torch.randn(tensor.shape, generator=generator) * scale for name, tensor in fresh.items()}


def ours(
    model: PreTrainedModel, method: MethodSpec, slots: list[dict[str, Tensor]]
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Hidden states of all rows, and the stacked tensors with gradients of their weighted sum."""
    tokens = np.random.default_rng(0).integers(3, 120, size=sum(LENGTHS)).astype(np.int32)
    batch = pack(Sequences(tokens, np.array(LENGTHS), np.arange(sum(LENGTHS)), [len(LENGTHS)], [sum(LENGTHS)]))
    stacked = [{name: tensor[None].clone().requires_grad_() for name, tensor in slot.items()} for slot in slots]
    hidden = PackedEncoder(deepcopy(model))(
        batch, adapters([Slot(method, one) for one in stacked], CellDropout(0.0, (0,)))
    )
    torch.autograd.backward((hidden * weights(hidden)).sum())
    return hidden.detach(), stacked


def theirs(model: Callable[..., Any]) -> Tensor:
    """Hidden states of all rows from a library's model, after the backward pass of the same weighted sum."""
    tokens = np.random.default_rng(0).integers(3, 120, size=sum(LENGTHS)).astype(np.int32)
    rows = []
    for part in np.split(tokens, np.cumsum(LENGTHS)[:-1]):
        rows.append(model(input_ids=torch.as_tensor(part, dtype=torch.long)[None]).last_hidden_state[0])
    hidden = torch.cat(rows)
    torch.autograd.backward((hidden * weights(hidden)).sum())
    return hidden.detach()


def weights(hidden: Tensor) -> Tensor:
    return torch.randn(hidden.shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("slots", [1, 2], ids=["one", "stacked"])
def test_lora_equals_peft(architecture: str, slots: int) -> None:
    peft = pytest.importorskip("peft")
    model = encoder(architecture)
    method = Lora(
        rank=4, alpha=6.0, target_modules=("query", "key", "value", "attention_output", "intermediate", "output")
    )
    names = ["below", "above"][:slots]
    settings = {
        "r": 4,
        "lora_alpha": 6,
        "task_type": "FEATURE_EXTRACTION",
        "target_modules": ["query", "key", "value", "output.dense", "intermediate.dense"],
    }
    library = peft.get_peft_model(deepcopy(model), peft.LoraConfig(**settings), adapter_name=names[0])
    for name in names[1:]:
        library.add_adapter(name, peft.LoraConfig(**settings))
    library.base_model.set_adapter(names)
    own = [tensors_of(method, seed) for seed in range(slots)]
    modules = dict(library.base_model.model.named_modules())
    for name, tensors in zip(names, own, strict=True):
        for key, tensor in tensors.items():
            path, matrix = key.rsplit(".", 1)
            getattr(modules[path], matrix)[name].weight.data.copy_(tensor)
    expected = theirs(library)
    hidden, stacked = ours(model, method, own)
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)
    for name, slot in zip(names, stacked, strict=True):
        for key, tensor in slot.items():
            path, matrix = key.rsplit(".", 1)
            gradient = getattr(modules[path], matrix)[name].weight.grad
            torch.testing.assert_close(present(tensor.grad)[0], gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
def test_rank_stabilised_lora_equals_peft(architecture: str) -> None:
    peft = pytest.importorskip("peft")
    model = encoder(architecture)
    method = Lora(rank=9, alpha=6.0, use_rslora=True)
    settings = {"r": 9, "lora_alpha": 6, "use_rslora": True, "target_modules": ["query", "value"]}
    library = peft.get_peft_model(deepcopy(model), peft.LoraConfig(task_type="FEATURE_EXTRACTION", **settings))
    modules = dict(library.base_model.model.named_modules())
    tensors = tensors_of(method, 0)
    pairs = {key: getattr(modules[key.rsplit(".", 1)[0]], key.rsplit(".", 1)[1])["default"].weight for key in tensors}
    for key, tensor in tensors.items():
        pairs[key].data.copy_(tensor)
    expected = theirs(library)
    hidden, (stacked,) = ours(model, method, [tensors])
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)
    for key, tensor in stacked.items():
        torch.testing.assert_close(present(tensor.grad)[0], pairs[key].grad, atol=1e-4, rtol=1e-4)


# Of several parallel adapters `adapters` lets only the last one act; ours add, as tested below.
@pytest.mark.parametrize(
    ("placement", "slots"), [("sequential", 1), ("sequential", 2), ("double", 1), ("double", 2), ("parallel", 1)]
)
def test_bottlenecks_equal_adapterhub(placement: str, slots: int) -> None:
    library = pytest.importorskip("adapters")
    model = encoder("xlm-roberta")
    method = METHODS[placement]
    with_adapters: Any = deepcopy(model)
    library.init(with_adapters)
    names = ["below", "above"][:slots]
    for name in names:
        with_adapters.add_adapter(name, config=library.AdapterConfig.load(PLACEMENTS[placement], reduction_factor=4))
    with_adapters.set_active_adapters(library.Stack(*names) if slots == 2 else names[0])
    own = [tensors_of(method, seed) for seed in range(slots)]
    for name, tensors in zip(names, own, strict=True):
        for key, tensor in tensors.items():
            adapterhub_tensor(with_adapters, key, name).data.copy_(tensor)
    with_adapters.requires_grad_(True)
    expected = theirs(with_adapters.eval())
    hidden, stacked = ours(model, method, own)
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)
    for name, slot in zip(names, stacked, strict=True):
        for key, tensor in slot.items():
            gradient = adapterhub_tensor(with_adapters, key, name).grad
            torch.testing.assert_close(present(tensor.grad)[0], gradient, atol=1e-4, rtol=1e-4)


def test_a_width_equals_the_factor_that_gives_it() -> None:
    """`adapters` knows factors alone: of 32 features a tenth, rounded down, is 3."""
    library = pytest.importorskip("adapters")
    model = encoder("xlm-roberta")
    method = Bottleneck(width=3)
    with_adapters: Any = deepcopy(model)
    library.init(with_adapters)
    with_adapters.add_adapter("only", config=library.AdapterConfig.load("seq_bn", reduction_factor=10))
    with_adapters.set_active_adapters("only")
    tensors = tensors_of(method, 0)
    for key, tensor in tensors.items():
        own = adapterhub_tensor(with_adapters, key, "only")
        assert own.shape == tensor.shape
        own.data.copy_(tensor)
    hidden, _ = ours(model, method, [tensors])
    torch.testing.assert_close(hidden, theirs(with_adapters.requires_grad_(True).eval()), atol=1e-5, rtol=1e-5)


def adapterhub_tensor(model: Any, key: str, name: str) -> torch.nn.Parameter:
    path, end = key.split(".adapter.")
    direction, kind = end.split(".")
    adapter = model.get_submodule(path).adapters[name]
    linear = adapter.adapter_down[0] if direction == "down" else adapter.adapter_up
    return cast(torch.nn.Parameter, getattr(linear, kind))


def test_parallel_adapters_add() -> None:
    """Two parallel adapters act as one whose bottleneck is the two side by side."""
    model = encoder("xlm-roberta")
    method = METHODS["parallel"]
    own = [tensors_of(method, seed) for seed in range(2)]
    joint = {}
    for key in own[0]:
        parts = [slot[key] for slot in own]
        if key.endswith("up.bias"):
            joint[key] = parts[0] + parts[1]
        else:
            joint[key] = torch.cat(parts, dim=1 if key.endswith("up.weight") else 0)
    stacked, _ = ours(model, method, own)
    together, _ = ours(model, METHODS["parallel"].model_copy(update={"reduction_factor": 2.0}), [joint])
    torch.testing.assert_close(stacked, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_pre_norm_bottlenecks_follow_the_formula(placement: str) -> None:
    """In a pre-LN layer: out = h + f + s · up(act(down(input))), the input being f + h, f, or h."""
    method = METHODS[placement]
    shape = Shape(layers=1, hidden=32, intermediate=128)
    tensors = {name: torch.randn(t.shape) * 0.2 for name, t in initial(parameters(method, shape), 0).items()}
    active = adapters([Slot(method, {name: tensor[None] for name, tensor in tensors.items()})], CellDropout(0.0, (0,)))
    f, h = torch.randn(5, 32), torch.randn(5, 32)
    inputs = {"sequential": f + h, "double": f, "parallel": h}[placement]
    act = torch.nn.functional.silu if placement == "double" else torch.relu
    name = "encoder.layer.0.output.adapter"
    inner = act(inputs @ tensors[f"{name}.down.weight"].T + tensors[f"{name}.down.bias"])
    outer = inner @ tensors[f"{name}.up.weight"].T + tensors[f"{name}.up.bias"]
    expected = h + f + outer * (4.0 if placement == "parallel" else 1.0)
    torch.testing.assert_close(active.residual(0, "output", f, h, None, (5,)), expected)


def test_adapters_start_at_or_near_the_backbone() -> None:
    model = encoder("xlm-roberta")
    plain, _ = ours(model, Lora(rank=4), [{k: v * 0 for k, v in tensors_of(Lora(rank=4), 0).items()}])
    for method in (Lora(rank=4), METHODS["parallel"]):
        fresh, _ = ours(model, method, [initial(parameters(method, SHAPE), 1)])
        torch.testing.assert_close(fresh, plain)
    first, again = (initial(parameters(Lora(rank=4), SHAPE), seed=1) for _ in range(2))
    other = initial(parameters(Lora(rank=4), SHAPE), seed=2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("lora_A"))
