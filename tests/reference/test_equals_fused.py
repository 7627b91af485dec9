"""Two lanes, one result: fused methods train through the libraries' models to the same losses, tensors and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import shape_of
from adapterx.engine.cell import TrainingCell
from adapterx.engine.predict import predict as fused_predict
from adapterx.engine.train import Outcome
from adapterx.engine.train import train as fused_train
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.full.spec import Full
from adapterx.methods.fusion.spec import Fusion
from adapterx.methods.ia3.spec import Ia3
from adapterx.methods.lora.spec import Lora
from adapterx.methods.merging import Merging, merge
from adapterx.methods.method import Slot, parameters
from adapterx.methods.parameters import initial
from adapterx.methods.probe.spec import Probe
from adapterx.reference.predict import predict
from adapterx.reference.train import train
from adapterx.train_settings import EarlyStopping
from tests.cells import METHODS, cell
from tests.engine.texts import reader
from tests.engine.trainings import mixed
from tests.models import encoder

LIBRARIES = {Lora: "peft", Ia3: "peft", Bottleneck: "adapters", Fusion: "adapters"}
CASES: dict[str, MethodSpec] = {
    **METHODS,
    "lora-top": Lora(rank=2, alpha=3.0, target_modules=("output",), layers=(1, 2)),
    "width": Bottleneck(width=3, layers=(0, 2)),
    "invertible": Bottleneck(reduction_factor=4.0, invertible="nice"),
    "ia3": Ia3(),
    "ia3-upper": Ia3(target_modules=("intermediate", "query", "value"), layers=(1, 2)),
    "full": Full(),
    "head": Probe(),
}
STEPS = 8


def both(method: MethodSpec, architecture: str, cells: Sequence[TrainingCell]) -> list[tuple[Outcome, Outcome]]:
    """Each cell trained in both lanes, over one encoder, which neither may change."""
    if type(method) in LIBRARIES:
        pytest.importorskip(LIBRARIES[type(method)])
    model = encoder(architecture)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    packed = PackedEncoder(model)
    found = []
    for one in cells:
        if isinstance(method, Full) and one.initial is None:
            one = replace(one, initial=packed.weights())  # noqa: PLW2901
        found.append((fused_train(packed, [one])[0], train(model, one)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_parameters())
    return found


def assert_equal(fused: Outcome, reference: Outcome, tolerance: float = 2e-5) -> None:
    assert (fused.status, fused.state.step) == (reference.status, reference.state.step)
    assert (fused.state.examples, fused.state.tokens) == (reference.state.examples, reference.state.tokens)
    losses, theirs = ([loss for loss, _ in one.state.losses] for one in (fused, reference))
    np.testing.assert_allclose(theirs, losses, rtol=tolerance)
    assert [rate for _, rate in fused.state.losses] == [rate for _, rate in reference.state.losses]
    assert [step for step, _ in fused.state.dev_scores] == [step for step, _ in reference.state.dev_scores]
    np.testing.assert_allclose([s for _, s in fused.state.dev_scores], [s for _, s in reference.state.dev_scores])
    assert reference.trained.slots[-1].tensors.keys() == fused.trained.slots[-1].tensors.keys()
    for name, tensor in fused.trained.heads.items():
        if fused.cell.tasks[0].head.format == "multiple-choice" and name.endswith("output.bias"):
            continue  # it moves all choices alike: its gradient is rounding, of which Adam makes whole steps
        torch.testing.assert_close(reference.trained.heads[name], tensor, atol=1e-4, rtol=1e-3)


def assert_answers(fused: Outcome, reference: Outcome, architecture: str) -> None:
    """Both lanes' predictions of both lanes' adapters: tensors are exchangeable."""
    task = fused.cell.tasks[0]
    pools = [pool.data for pool in task.dev]
    model = encoder(architecture)
    cells = [(fused.trained, task.head), (reference.trained, task.head)]
    expected, of_reference = fused_predict(PackedEncoder(model), cells, pools)
    theirs = [predict(model, one, task.head, pools, fused.cell.seed) for one, _ in cells]
    for found in (of_reference, *theirs):
        one, other = (np.concatenate([np.reshape(e, -1) for e in scores[0]]) for scores in (found, expected))
        np.testing.assert_allclose(one, other, atol=2e-3)
        labels = [[int(line.argmax()) for e in scores[0] for line in e] for scores in (found, expected)]
        assert labels[0] == labels[1]


ON_XL = ("lora-everywhere", "ia3", "full", "head")
"""What is trained on XLM-R-XL as well, of which `adapters` has no models."""


@pytest.mark.parametrize(
    ("name", "architecture"),
    [*((name, "xlm-roberta") for name in CASES), *((name, "xlm-roberta-xl") for name in ON_XL)],
)
def test_equals_the_fused_lane(name: str, architecture: str) -> None:
    method = CASES[name]
    stopping = EarlyStopping(every=5, patience=9)
    ((fused, reference),) = both(
        method, architecture, [cell(method, steps=STEPS, learning_rate=3e-3, early_stopping=stopping)]
    )
    assert_equal(fused, reference)
    assert_answers(fused, reference, architecture)


@pytest.mark.parametrize("format_", ["tagging", "multiple-choice"])
def test_every_format(format_: str) -> None:
    ((fused, reference),) = both(
        METHODS["lora"], "xlm-roberta", [cell(METHODS["lora"], steps=4, format_=format_, learning_rate=3e-3)]
    )
    assert_equal(fused, reference)
    assert_answers(fused, reference, "xlm-roberta")


def test_several_tasks() -> None:
    """A head takes its step, as far as its moments carry it, in batches without an example of its task too."""
    one = mixed(METHODS["lora"], steps=6, learning_rate=3e-3)
    one = replace(one, settings=replace(one.settings, batch_size=2))
    ((fused, reference),) = both(METHODS["lora"], "xlm-roberta", [one])
    assert_equal(fused, reference)
    heads = [{one.pools[pool][0] for pool, _ in one.sampler.batch(step)} for step in range(6)]
    assert heads[0] | heads[1] == {0, 1} and {0} in heads[2:]


def noisy(method: MethodSpec, seed: int, architecture: str) -> dict[str, torch.Tensor]:
    """Tensors none of which is at its start."""
    shape = shape_of(PackedEncoder(encoder(architecture)))
    generator = torch.Generator().manual_seed(seed)
    fresh = initial(parameters(method, shape), seed)
    return {name: tensor + 0.05 * torch.randn(tensor.shape, generator=generator) for name, tensor in fresh.items()}


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("lora", "xlm-roberta"), ("lora", "xlm-roberta-xl"), ("sequential", "xlm-roberta"), ("double", "xlm-roberta")],
)
@pytest.mark.parametrize("transfer", ["continue", "stack"])
def test_transfers(name: str, transfer: str, architecture: str) -> None:
    method = METHODS[name]
    start = noisy(method, 7, architecture)
    changes: dict[str, Any] = {"initial": start} if transfer == "continue" else {"lower": (Slot(method, start),)}
    ((fused, reference),) = both(method, architecture, [cell(method, steps=4, learning_rate=3e-3, **changes)])
    assert_equal(fused, reference)
    assert_answers(fused, reference, architecture)
    if transfer == "stack":
        assert reference.trained.slots[0].tensors is start


def test_merged_adapters_start_alike() -> None:
    method = METHODS["lora"]
    members = [noisy(method, seed, "xlm-roberta") for seed in (3, 4)]
    shape = shape_of(PackedEncoder(encoder("xlm-roberta")))
    start = merge(method, members, Merging("ties"), shape, 1)
    ((fused, reference),) = both(method, "xlm-roberta", [cell(method, steps=4, learning_rate=3e-3, initial=start)])
    assert_equal(fused, reference)


@pytest.mark.parametrize("name", ["sequential", "double", "parallel"])
def test_fusion(name: str) -> None:
    member = METHODS[name]
    assert isinstance(member, Bottleneck)
    method = Fusion(members=(member, member))
    lower = tuple(Slot(member, noisy(member, seed, "xlm-roberta")) for seed in (3, 4))
    ((fused, reference),) = both(method, "xlm-roberta", [cell(method, steps=4, learning_rate=3e-3, lower=lower)])
    assert_equal(fused, reference)
    assert_answers(fused, reference, "xlm-roberta")


@pytest.mark.parametrize(
    ("name", "architecture"), [("invertible", "xlm-roberta"), ("lora", "xlm-roberta-xl"), ("full", "xlm-roberta")]
)
def test_masked_language_modelling(name: str, architecture: str) -> None:
    """The same tokens are masked, and an invertible adapter is undone at the same place."""
    ((fused, reference),) = both(
        CASES[name], architecture, [reader(CASES[name], steps=5, learning_rate=3e-3, batch_size=6)]
    )
    assert_equal(fused, reference)


def test_a_task_above_a_language() -> None:
    lower, method = CASES["invertible"], METHODS["sequential"]
    below = (Slot(lower, noisy(lower, 7, "xlm-roberta")),)
    ((fused, reference),) = both(method, "xlm-roberta", [cell(method, steps=4, learning_rate=3e-3, lower=below)])
    assert_equal(fused, reference)
    assert_answers(fused, reference, "xlm-roberta")
