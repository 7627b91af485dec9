"""What the libraries alone can make trains, counts as planned, comes back as it was, and leaves the backbone alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adapterx.backbones.info import BackboneInfo
from adapterx.engine.cell import TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.train import Outcome, Progress
from adapterx.methods.base import MethodSpec
from adapterx.methods.library.spec import AdaptersMethod, PeftMethod
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot
from adapterx.methods.parameters import flatten
from adapterx.reference.libraries import LibraryError
from adapterx.reference.measure import measure
from adapterx.reference.model import build
from adapterx.reference.predict import predict
from adapterx.reference.train import train
from adapterx.train_settings import EarlyStopping
from tests.cells import cell
from tests.models import encoder

PEFT: dict[str, dict[str, Any]] = {
    "LORA": {"r": 2},
    "DORA": {"r": 2},
    "IA3": {},
    "VERA": {"r": 8},
    "LOHA": {"r": 2},
    "LOKR": {"r": 2},
    "OFT": {},
    "HRA": {"r": 2},
    "FOURIERFT": {"n_frequency": 20},
    "RANDLORA": {"r": 4},
    "LN_TUNING": {},
    "VBLORA": {"vector_length": 16, "num_vectors": 8, "r": 2},
    "MISS": {"r": 4},
    "C3A": {"block_size": 16},
    "ROAD": {"group_size": 16},
    "DELORA": {"r": 2},
    "HIRA": {"r": 2},
    "WAVEFT": {"n_frequency": 20},
}
HUB = (
    *("seq_bn[reduction_factor=8]", "double_seq_bn", "par_bn", "scaled_par_bn", "seq_bn_inv", "double_seq_bn_inv"),
    *("compacter[reduction_factor=8]", "compacter++[reduction_factor=8]", "prefix_tuning", "prefix_tuning_flat"),
    *("lora", "dora", "ia3", "vera", "loreft", "noreft", "direft", "mam", "unipelt", "lora[r=4]|seq_bn"),
)
SIZES = {"hidden": 64, "layers": 1, "heads": 4}


def info(architecture: str) -> BackboneInfo:
    """The tests' small encoder, as a plan knows it."""
    return BackboneInfo("", architecture, 64, 1, 4, 256, 120, 512)  # type: ignore[arg-type]


def library(settings: dict[str, Any]) -> PeftMethod | AdaptersMethod:
    """A method as the recipe has it."""
    return (AdaptersMethod if "adapters" in settings else PeftMethod).model_validate(settings)


def check(settings: dict[str, Any], architecture: str) -> None:
    """Train two steps, with an evaluation on the dev set at the end."""
    method = library(settings)
    planned = measure(method, info(architecture))
    model = encoder(architecture, **SIZES)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    one = cell(
        method, steps=2, learning_rate=1e-2, early_stopping=EarlyStopping(every=2, patience=1), batch_size=3, examples=8
    )
    outcome, tensors = trained(model, one)
    assert outcome.state.adapter.values.numel() == planned.parameters
    assert not any("adapterx" in name for name in tensors)
    start = build(model, [Slot(method, {})], one.seed)
    assert not torch.equal(outcome.state.adapter.values, flatten(start.parameters, start.tensors))
    assert outcome.state.best is not None and accuracy(model, outcome) == pytest.approx(outcome.state.best.score)
    assert_acts(model, outcome)
    if not planned.alone:
        stacked, _ = trained(model, replace(one, lower=(Slot(method, tensors),)))
        assert stacked.state.adapter.values.numel() == planned.parameters
        assert_acts(model, stacked)
        assert all(torch.equal(stacked.trained.slots[0].tensors[name], tensor) for name, tensor in tensors.items())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_parameters())


def trained(model: nn.Module, one: TrainingCell) -> tuple[Outcome, dict[str, Tensor]]:
    """A training that came to its end, and the tensors of its adapter."""
    outcome = train(model, one)
    assert outcome.status == "done"
    return outcome, dict(outcome.trained.slots[-1].tensors)


def answers(model: nn.Module, outcome: Outcome, slots: Sequence[Slot]) -> NDArray[np.float32]:
    """Scores of the dev set, (examples, classes), through a model that is built anew."""
    task = outcome.cell.tasks[0]
    changed = replace(outcome.trained, slots=tuple(slots))
    return np.concatenate(predict(model, changed, task.head, [task.dev[0].data], outcome.cell.seed)[0])


def accuracy(model: nn.Module, outcome: Outcome) -> float:
    scores = answers(model, outcome, outcome.trained.slots)
    return float((scores.argmax(axis=1) == outcome.cell.tasks[0].dev[0].data.labels).mean())


def assert_acts(model: nn.Module, outcome: Outcome) -> None:
    """Noise in the adapter of any slot changes what the cell answers."""
    slots = outcome.trained.slots
    plain, generator = answers(model, outcome, slots), torch.Generator().manual_seed(0)
    for place, slot in enumerate(slots):
        noisy = {key: one + 0.3 * torch.randn(one.shape, generator=generator) for key, one in slot.tensors.items()}
        other = answers(model, outcome, [*slots[:place], replace(slot, tensors=noisy), *slots[place + 1 :]])
        assert np.abs(plain - other).max() > 1e-5, (outcome.cell.method, place)


@pytest.mark.parametrize("kind", PEFT)
def test_peft(kind: str) -> None:
    pytest.importorskip("peft")
    check({"peft": {"peft_type": kind, **PEFT[kind]}}, "xlm-roberta")


@pytest.mark.parametrize("kind", ["DORA", "IA3", "VERA", "LN_TUNING"])
def test_peft_on_pre_norm_layers(kind: str) -> None:
    pytest.importorskip("peft")
    check({"peft": {"peft_type": kind, **PEFT[kind]}}, "xlm-roberta-xl")


@pytest.mark.parametrize("config", HUB)
def test_adapters(config: str) -> None:
    pytest.importorskip("adapters")
    check({"adapters": config}, "xlm-roberta")


def test_these_are_all() -> None:
    from typing import get_args

    from adapterx.methods.library.spec import ADAPTERS, PeftType

    assert set(get_args(PeftType)) == set(PEFT)
    assert set(ADAPTERS) == {part.split("[")[0] for config in HUB for part in config.split("|")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3", "rank": 4}, "has the setting 'rank', unknown to IA3 of peft"),
        ({"peft_type": "LORA", "lora_alhpa": 4}, "unknown to LORA of peft .*: did you mean 'lora_alpha'"),
        ({"peft_type": "LORA", "r": 0}, "is refused by `peft`: `r` should be a positive integer"),
        ({"peft_type": "LORA", "target_modules": ["kwery"]}, "is refused by `peft`: Target modules"),
        ({"peft_type": "LORA", "bias": "all"}, "would train .* of the backbone, which stays frozen"),
        ({"peft_type": "LORA", "init_lora_weights": "pissa"}, "has init_lora_weights 'pissa', which needs data or"),
        ({"peft_type": "C3A", "block_size": 7}, "is refused by `peft`: The block size should be a factor"),
    ],
)
def test_what_peft_cannot_make_is_told(settings: dict[str, Any], message: str) -> None:
    pytest.importorskip("peft")
    with pytest.raises(LibraryError, match=message):
        measure(PeftMethod.model_validate({"peft": settings}), info("xlm-roberta"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("seq_bn[reduction=4]", "is refused by `adapters`: .* unexpected keyword argument 'reduction'"),
        ("seq_bn[reduction_factor=]", "is refused by `adapters`: Invalid adapter config"),
        ("compacter[phm_dim=5]", "is refused by `adapters`: Argument `in_features`"),
    ],
)
def test_what_adapters_cannot_make_is_told(config: str, message: str) -> None:
    pytest.importorskip("adapters")
    with pytest.raises(LibraryError, match=message):
        measure(AdaptersMethod(adapters=config), info("xlm-roberta"))


@pytest.mark.parametrize(("name", "extra"), [("peft", "peft"), ("adapters", "adapterhub")])
def test_a_library_that_is_missing_is_told(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    settings = {"peft": {"peft_type": "IA3"}} if name == "peft" else {"adapters": "compacter"}
    with pytest.raises(LibraryError, match=rf"needs {name}, .*: pip install 'adapterx\[{extra}\]'"):
        measure(library(settings), info("xlm-roberta"))


@pytest.mark.parametrize("settings", [{"peft": {"peft_type": "DORA", "r": 2}}, {"adapters": "prefix_tuning"}])
def test_goes_on_from_an_intermediate(settings: dict[str, Any]) -> None:
    pytest.importorskip(next(iter(settings)))
    model, method = encoder("xlm-roberta", **SIZES), library(settings)
    _, tensors = trained(model, cell(method, steps=2, learning_rate=1e-2))
    _, later = trained(model, cell(method, steps=1, learning_rate=1e-20, initial=tensors))
    assert later.keys() == tensors.keys()
    for name, tensor in later.items():
        torch.testing.assert_close(tensor, tensors[name])


class Killed(Exception):
    pass


def resumed_and_straight(method: MethodSpec, directory: Path) -> tuple[Outcome, Outcome, TrainingCell]:
    """A training cut off after its fifth step, gone on with; and the same without a cut."""
    model = encoder("xlm-roberta", **SIZES)
    one = cell(method, steps=8, learning_rate=1e-2, early_stopping=EarlyStopping(every=2, patience=9))
    checkpoints = Checkpoints(directory, seconds=0.0)

    def kill(progress: Progress) -> None:
        if progress.cells[0][1] == 5:
            raise Killed

    with pytest.raises(Killed):
        train(model, one, checkpoints, observe=kill)
    steps: list[int] = []
    resumed = train(model, one, checkpoints, observe=lambda progress: steps.append(progress.cells[0][1]))
    assert steps[0] == 5
    return resumed, train(model, one), one


@pytest.mark.parametrize("kind", ["peft", "lora", "adapters"])
def test_resumed_equals_uninterrupted(kind: str, tmp_path: Path) -> None:
    """Dropout included: its masks follow from seed and step."""
    pytest.importorskip("adapters" if kind == "adapters" else "peft")
    method: MethodSpec = Lora(rank=2, dropout=0.3)
    if kind == "peft":
        method = library({"peft": {"peft_type": "VERA", "r": 8, "vera_dropout": 0.3}})
    if kind == "adapters":
        method = library({"adapters": "prefix_tuning[dropout=0.3]"})
    resumed, straight, _ = resumed_and_straight(method, tmp_path)
    assert resumed.state.losses == straight.state.losses and resumed.state.dev_scores == straight.state.dev_scores
    assert torch.equal(resumed.state.adapter.values, straight.state.adapter.values)
    assert torch.equal(resumed.state.adapter.second, straight.state.adapter.second)
    assert torch.equal(resumed.state.head.values, straight.state.head.values)


def test_dropout_is_the_adapters_alone() -> None:
    pytest.importorskip("peft")
    model = encoder("xlm-roberta", **SIZES)
    losses = [
        [loss for loss, _ in train(model, cell(Lora(rank=2, dropout=rate), steps=4, learning_rate=1e-2)).state.losses]
        for rate in (0.0, 0.5)
    ]
    assert losses[0][0] == losses[1][0] and losses[0][2:] != losses[1][2:]  # B = 0 at first: nothing to drop


def test_what_is_not_finite_ends_a_training() -> None:
    pytest.importorskip("peft")
    one = cell(Lora(rank=2), steps=8, learning_rate=1e30, warmup_ratio=0.0, max_grad_norm=1e30)
    outcome = train(encoder("xlm-roberta", **SIZES), one)
    assert outcome.status == "diverged" and outcome.state.step < 8


def test_early_stopping_stops() -> None:
    pytest.importorskip("peft")
    one = cell(Lora(rank=2), steps=20, learning_rate=1e-9, early_stopping=EarlyStopping(every=1, patience=2))
    outcome = train(encoder("xlm-roberta", **SIZES), one)
    assert outcome.status == "done" and outcome.state.step == 3
    assert outcome.state.best is not None and outcome.state.best.step == 1
