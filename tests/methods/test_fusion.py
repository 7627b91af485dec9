"""AdapterFusion computes what AdapterHub's `adapters` computes, alone or beside other cells."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from adapterx.backbones.layout import Sequences, pack
from adapterx.backbones.packed import PackedEncoder
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot, adapters, parameters
from adapterx.methods.parameters import initial
from adapterx.methods.rows import CellDropout
from tests.cells import BOTTLENECKS
from tests.methods.test_oracles import LENGTHS, PLACEMENTS, SHAPE, adapterhub_tensor, tensors_of, theirs, weights
from tests.models import encoder
from tests.support.present import present


def slots_of(placement: str, members: int, seed: int = 0) -> list[Slot]:
    """Members and, last, their fusion; no tensor is zero."""
    method = BOTTLENECKS[placement]
    fusion = Fusion(members=(method,) * members)
    own = [Slot(method, tensors_of(method, 10 * seed + member)) for member in range(members)]
    return [*own, Slot(fusion, tensors_of(fusion, 10 * seed + 9))]


@pytest.mark.parametrize("members", [2, 3])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_fusion_equals_adapterhub(placement: str, members: int) -> None:
    library = pytest.importorskip("adapters")
    model = encoder("xlm-roberta")
    slots = slots_of(placement, members)
    with_adapters: Any = deepcopy(model)
    library.init(with_adapters)
    names = [f"member{index}" for index in range(members)]
    for name in names:
        with_adapters.add_adapter(name, config=library.AdapterConfig.load(PLACEMENTS[placement], reduction_factor=4))
    with_adapters.add_adapter_fusion(names, "dynamic")
    with_adapters.set_active_adapters(library.Fuse(*names))
    for name, slot in zip(names, slots, strict=False):
        for key, tensor in slot.tensors.items():
            adapterhub_tensor(with_adapters, key, name).data.copy_(tensor)
    for key, tensor in slots[-1].tensors.items():
        fusion_tensor(with_adapters, key, names).data.copy_(tensor)
    with_adapters.double().requires_grad_(True)
    expected = theirs(with_adapters.eval())
    exact = [replace(slot, tensors={name: tensor.double() for name, tensor in slot.tensors.items()}) for slot in slots]
    hidden, stacked = ours(deepcopy(model).double(), [exact])
    torch.testing.assert_close(hidden, expected, atol=1e-9, rtol=1e-9)
    # Single elements differ from processor to processor by how sums are rounded; of all together that tells less.
    rounded = ours(model, [slots])[0]
    assert rounded.dtype == torch.float32
    assert float((rounded - expected).norm() / expected.norm()) < 1e-5
    for key, tensor in stacked[-1].items():
        if key.endswith("key.bias"):
            assert tensor.grad is None  # theirs is rounding noise: a softmax does not see it
            continue
        gradient = fusion_tensor(with_adapters, key, names).grad
        torch.testing.assert_close(present(tensor.grad)[0], gradient, atol=1e-9, rtol=1e-9)


def fusion_tensor(model: Any, key: str, names: list[str]) -> torch.nn.Parameter:
    path, end = key.split(".fusion.")
    fusion = model.get_submodule(path).adapter_fusion_layer[",".join(names)]
    return cast(torch.nn.Parameter, fusion.get_parameter(end))


def ours(model: PreTrainedModel, cells: list[list[Slot]]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Hidden states of every cell's rows, and the stacked tensors with gradients of their weighted sums."""
    tokens = np.random.default_rng(0).integers(3, 120, size=sum(LENGTHS)).astype(np.int32)
    count = len(cells)
    batch = pack(
        Sequences(
            np.tile(tokens, count),
            np.tile(LENGTHS, count),
            np.arange(count * sum(LENGTHS)),
            [len(LENGTHS)] * count,
            [sum(LENGTHS)] * count,
        )
    )
    stacked = [
        {name: torch.stack([slot.tensors[name] for slot in place]).requires_grad_() for name in place[0].tensors}
        for place in zip(*cells, strict=True)
    ]
    methods = [slot.method for slot in cells[0]]
    active = adapters([Slot(m, t) for m, t in zip(methods, stacked, strict=True)], CellDropout(0.0, (0,) * count))
    hidden = PackedEncoder(deepcopy(model))(batch, active)
    for part in torch.split(hidden, sum(LENGTHS)):
        torch.autograd.backward((part * weights(part)).sum(), retain_graph=True)
    return hidden.detach(), stacked


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_alone_as_beside_others(placement: str, architecture: str) -> None:
    model = encoder(architecture).double()
    cells = [
        [replace(slot, tensors={name: tensor.double() for name, tensor in slot.tensors.items()}) for slot in slots]
        for slots in (slots_of(placement, 2, seed) for seed in range(3))
    ]
    together, stacked = ours(model, cells)
    for at, part in enumerate(torch.split(together, sum(LENGTHS))):
        alone, own = ours(model, [cells[at]])
        torch.testing.assert_close(part, alone, atol=1e-9, rtol=1e-9)
        for key, tensor in own[-1].items():
            if tensor.grad is not None:
                beside = present(stacked[-1][key].grad)[at]
                torch.testing.assert_close(beside, tensor.grad[0], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("rows", [(5,), (2, 3), (3, 3)], ids=str)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_pre_norm_fusion_follows_the_formula(placement: str, rows: tuple[int, ...]) -> None:
    """In a pre-LN layer: out = h + f + Σ softmax(q · k)ₘ V xₘ (and h again when parallel), in ragged and even rows."""
    method = BOTTLENECKS[placement]
    cells = [slots_of(placement, 3, seed) for seed in range(len(rows))]
    place = [
        Slot(p[0].method, {n: torch.stack([s.tensors[n] for s in p]) for n in p[0].tensors})
        for p in zip(*cells, strict=True)
    ]
    active = adapters(place, CellDropout(0.0, (0,) * len(rows)))
    f, h = torch.randn(sum(rows), 32), torch.randn(sum(rows), 32)
    found = active.residual(0, "output", f, h, None, rows)
    act = torch.nn.functional.silu if placement == "double" else torch.relu
    parts = (torch.split(one, list(rows)) for one in (found, f, h))
    for out, f_, h_, slots in zip(*parts, cells, strict=True):
        read = {"sequential": f_ + h_, "double": f_, "parallel": h_}[placement]
        outputs = []
        for slot in slots[:-1]:
            down, up = (
                {kind: slot.tensors[f"encoder.layer.0.output.adapter.{way}.{kind}"] for kind in ("weight", "bias")}
                for way in ("down", "up")
            )
            inner = act(read @ down["weight"].T + down["bias"])
            outputs.append((inner @ up["weight"].T + up["bias"]) * method.scaling)
        own = {n.removeprefix("encoder.layer.0.output.fusion."): t for n, t in slots[-1].tensors.items()}
        query = read @ own["query.weight"].T + own["query.bias"]
        keys = [x @ own["key.weight"].T + own["key.bias"] for x in outputs]
        shares = torch.softmax(torch.stack([(query * key).sum(1) for key in keys]), dim=0)
        mixed = sum(share[:, None] * (x @ own["value.weight"].T) for share, x in zip(shares, outputs, strict=True))
        expected = h_ + f_ + mixed + (h_ if placement == "parallel" else 0.0)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_a_fresh_fusion_is_nearly_the_mean_of_its_members() -> None:
    fresh = initial(parameters(Fusion(members=(BOTTLENECKS["double"],) * 2), SHAPE), 1)
    names = {f"encoder.layer.{n}.{m}.fusion.value.weight" for n in range(3) for m in ("output", "attention.output")}
    assert {name for name in fresh if "value" in name} == names
    expected = torch.full((32, 32), 1e-6).fill_diagonal_(1.0)
    assert all(torch.equal(fresh[name], expected) for name in names)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "xlm-roberta-xl"])
def test_a_low_rank_value_is_the_full_one_with_the_same_numbers(architecture: str) -> None:
    model = encoder(architecture)
    slots = slots_of("sequential", 2)
    low = Fusion(members=(BOTTLENECKS["sequential"],) * 2, value_rank=3)
    tensors = tensors_of(low, 5)
    full = {name: tensor for name, tensor in tensors.items() if ".value." not in name}
    for name in tensors:
        if name.endswith("lora_A"):
            path = name.removesuffix("lora_A")
            full[f"{path}weight"] = torch.eye(32) + tensors[f"{path}lora_B"] @ tensors[name]
    expected, _ = ours(model, [[*slots[:-1], Slot(slots[-1].method, full)]])
    torch.testing.assert_close(ours(model, [[*slots[:-1], Slot(low, tensors)]])[0], expected, atol=1e-5, rtol=1e-5)


def test_a_fusion_needs_bottlenecks_below() -> None:
    slots = slots_of("sequential", 2)
    with pytest.raises(ValueError, match="cannot be stacked"):
        adapters([Slot(Lora(), {}), slots[-1]], CellDropout(0.0, (0,)))
