"""A cell does not know its neighbours, the backbone does not move, and resuming is going on."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import train as train_module
from adapterx.engine.bundle import Bundle, shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.state import CellState
from adapterx.engine.train import Outcome, train
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.head import Head
from adapterx.methods.lora.spec import Lora
from adapterx.tasks.metrics import Accuracy
from adapterx.tasks.sampling import pool_probabilities
from adapterx.train_settings import EarlyStopping
from tests.cells import METHODS, cell, encoded
from tests.models import encoder
from tests.support.marks import everyday
from tests.support.present import present


def losses(outcome: Outcome) -> np.ndarray:
    return np.array([loss for loss, _ in outcome.state.losses])


def assert_same_training(left: Outcome, right: Outcome, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(losses(left), losses(right), rtol=tolerance)
    for name, tensor in left.trained.heads.items():
        if len(tensor) == 1 and name.endswith("output.bias"):
            continue  # it moves all choices alike, so its gradient is rounding and its value arbitrary
        torch.testing.assert_close(tensor, right.trained.heads[name], atol=1e-3, rtol=1e-3)
    for ours, theirs in zip(left.trained.slots, right.trained.slots, strict=True):
        for name, tensor in ours.tensors.items():
            torch.testing.assert_close(tensor, theirs.tensors[name], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("method", "architecture"),
    everyday(
        product(METHODS, ["xlm-roberta", "xlm-roberta-xl"]),
        [("lora-everywhere", "xlm-roberta"), ("double", "xlm-roberta-xl"), ("parallel", "xlm-roberta")],
    ),
)
def test_a_cell_in_a_bundle_equals_the_cell_alone(method: str, architecture: str) -> None:
    packed = PackedEncoder(encoder(architecture))
    cells = [
        cell(METHODS[method], seed=1),
        cell(METHODS[method], seed=2, format_="tagging", learning_rate=5e-4, steps=30),
        cell(METHODS[method], seed=3, format_="multiple-choice", batch_size=5, warmup_ratio=0.0),
        cell(METHODS[method], seed=1, data_seed=7, epochs=9.0, steps=None, batch_size=7, weight_decay=0.0),
    ]
    together = train(packed, cells)
    assert [len(outcome.state.losses) for outcome in together] == [50, 30, 50, 54]
    for one, outcome in zip(cells, together, strict=True):
        (alone,) = train(packed, [one])
        assert_same_training(outcome, alone)


def test_stacked_cells_in_a_bundle_equal_the_cells_alone() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    for method in (METHODS["lora"], METHODS["sequential"]):
        below = [train(packed, [cell(method, seed=seed, steps=10)])[0].trained.slots[0] for seed in (5, 6)]
        cells = [cell(method, seed=seed, steps=30, lower=(lower,)) for seed, lower in zip((1, 2), below, strict=True)]
        together = train(packed, cells)
        for one, lower, outcome in zip(cells, below, together, strict=True):
            assert_same_training(outcome, train(packed, [one])[0])
            assert all(
                torch.equal(outcome.trained.slots[0].tensors[name], lower.tensors[name]) for name in lower.tensors
            )


def test_dropout_belongs_to_the_cell() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    for method in (Lora(rank=4, dropout=0.5), Bottleneck(reduction_factor=4.0, dropout=0.5)):
        cells = [cell(method, seed=seed, steps=20, learning_rate=1e-2) for seed in (1, 2)]
        together = train(packed, cells)
        for one, outcome in zip(cells, together, strict=True):
            assert_same_training(outcome, train(packed, [one])[0])
        without = train(packed, [replace(cells[0], method=method.model_copy(update={"dropout": 0.0}))])[0]
        # Far above rounding, which is below 1e-6 here; how large depends on the random encoder.
        assert np.abs(losses(without) - losses(together[0]))[1:].max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_the_backbone_does_not_move_and_the_adapter_does(method: str) -> None:
    model = encoder("xlm-roberta")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    one = cell(METHODS[method], steps=10)
    packed = PackedEncoder(model)
    start = CellState.start(one, shape_of(packed))
    (outcome,) = train(packed, [one])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in model.parameters())
    assert (outcome.state.adapter.values != start.adapter.values).float().mean() > 0.8  # some ReLU units are dead
    assert (outcome.state.head.values != start.head.values).float().mean() > 0.95


@pytest.mark.parametrize("method", everyday(METHODS, ["lora", "double"]))
@pytest.mark.parametrize("format_", everyday(["pair-classification", "tagging", "multiple-choice"], ["tagging"]))
def test_every_method_learns_every_format(method: str, format_: str) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    one = cell(METHODS[method], format_=format_, steps=150, learning_rate=1e-2, batch_size=16)
    (outcome,) = train(packed, [one])
    assert losses(outcome)[:5].mean() > 0.9
    assert train_module.dev_score(packed, one, outcome.trained) > 0.6


@pytest.mark.parametrize("method", METHODS)
def test_a_backbone_in_bfloat16_trains_much_as_in_float32(method: str) -> None:
    one = cell(METHODS[method], steps=30, learning_rate=3e-3)
    (exact,) = train(PackedEncoder(encoder("xlm-roberta")), [one])
    packed = PackedEncoder(encoder("xlm-roberta").bfloat16())
    (outcome,) = train(packed, [one])
    assert outcome.status == "done" and outcome.state.adapter.values.dtype == torch.float32
    assert abs(losses(outcome) - losses(exact)).max() < 0.2
    assert 0.0 <= train_module.dev_score(packed, one, outcome.trained) <= 1.0


def test_several_tasks_and_languages_share_one_adapter() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    one = mixed_cell(steps=40)
    (outcome,) = train(packed, [one])
    assert {name.split(".")[1] for name in outcome.trained.heads} == {"pairs", "tags"}
    together = train(packed, [cell(METHODS["lora"], seed=4), one])
    assert_same_training(together[1], outcome)
    before = CellState.start(one, shape_of(packed))
    assert (outcome.state.head.values != before.head.values).float().mean() > 0.95


def mixed_cell(steps: int) -> TrainingCell:
    pairs = TaskData(
        Head("pairs", "pair-classification", 3),
        Accuracy(),
        tuple(Pool(language, encoded("pair-classification", seed=at)) for at, language in enumerate(("en", "de"))),
    )
    tags = TaskData(Head("tags", "tagging", 4), Accuracy(), (Pool("en", encoded("tagging", labels=4)),))
    return replace(
        cell(METHODS["lora"], steps=steps), tasks=(pairs, tags), probabilities=pool_probabilities([40, 40, 40])
    )


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = [cell(METHODS["sequential"], seed=1), cell(METHODS["sequential"], seed=2, format_="tagging", steps=35)]
    checkpoints = Checkpoints(tmp_path, seconds=0.0)

    class Killed(Exception):
        pass

    def kill(progress: train_module.Progress) -> None:
        if progress.cells[0][1] == 21:
            raise Killed

    with pytest.raises(Killed):
        train(packed, cells, checkpoints, observe=kill)
    assert {state.step for state in checkpoints.resume([one.key for one in cells]).values()} == {20}
    resumed = train(packed, cells, checkpoints)
    for outcome, straight in zip(resumed, train(packed, cells), strict=True):
        assert losses(outcome).tolist() == losses(straight).tolist()
        assert torch.equal(outcome.state.adapter.values, straight.state.adapter.values)
        assert torch.equal(outcome.state.head.values, straight.state.head.values)
        assert (outcome.state.examples, outcome.state.tokens) == (straight.state.examples, straight.state.tokens)


@pytest.mark.slow
def test_resumed_after_any_checkpoint_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that have ended, cells that go on, several tasks, dropout; the best step comes along."""
    packed = PackedEncoder(encoder("xlm-roberta"))
    method = Lora(rank=4, dropout=0.3)
    noise = encoded("pair-classification", seed=3, signal=False)
    stopping = cell(method, steps=60, learning_rate=1e-2, early_stopping=EarlyStopping(every=4, patience=3))
    stopping = replace(stopping, tasks=(replace(stopping.tasks[0], dev=(Pool("en", noise),)),))
    mixed = replace(mixed_cell(steps=30), method=method, key="mixed")
    cells = [stopping, mixed, cell(method, seed=3, format_="tagging")]
    straight = train(packed, cells)
    assert straight[0].state.step < 30, "it was to stop before the others"

    class Killed(Exception):
        pass

    save = Checkpoints.save
    for last in (1, 14, 29, 45):
        checkpoints = Checkpoints(tmp_path / str(last), seconds=0.0)
        saved: list[Checkpoints] = []

        def save_and_die(
            own: Checkpoints,
            states: dict[str, CellState],
            last: int = last,
            saved: list[Checkpoints] = saved,
        ) -> None:
            save(own, states)
            saved.append(own)
            if len(saved) == last:
                raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Checkpoints, "save", save_and_die)
            train(packed, cells, checkpoints)
        for outcome, expected in zip(train(packed, cells, checkpoints), straight, strict=True):
            assert losses(outcome).tolist() == losses(expected).tolist()
            assert torch.equal(outcome.state.adapter.values, expected.state.adapter.values)
            assert outcome.state.dev_scores == expected.state.dev_scores
            assert (outcome.state.examples, outcome.state.tokens) == (expected.state.examples, expected.state.tokens)
        # In other company a cell finds its state as well.
        (alone,) = train(packed, [cells[2]], checkpoints)
        assert_same_training(alone, straight[2])


def test_a_damaged_checkpoint_is_started_over(tmp_path: Path) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    (tmp_path / "damaged.safetensors").write_bytes(b"not a checkpoint")
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    checkpoints = Checkpoints(tmp_path, seconds=60.0)
    (outcome,) = train(packed, [cell(METHODS["lora"], steps=3)], checkpoints)
    assert outcome.state.step == 3


def test_a_checkpoint_goes_when_all_its_cells_are_finished(tmp_path: Path) -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = [cell(METHODS["lora"], seed=seed, steps=3) for seed in (1, 2)]
    checkpoints = Checkpoints(tmp_path, seconds=0.0)
    outcomes = train(packed, cells, checkpoints)
    assert all(outcome.state.seconds > 0 for outcome in outcomes)
    checkpoints.forget(lambda key: key == cells[0].key)
    assert len(list(tmp_path.iterdir())) == 1
    checkpoints.forget(lambda key: True)
    assert not list(tmp_path.iterdir())


def test_an_adapter_above_another_of_its_seed_starts_elsewhere() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    plain = CellState.start(cell(METHODS["lora"]), shape_of(packed))
    (lower,) = train(packed, [cell(METHODS["lora"], steps=1)])
    above = CellState.start(cell(METHODS["lora"], lower=lower.trained.slots), shape_of(packed))
    assert not torch.equal(plain.adapter.values, above.adapter.values)
    assert torch.equal(plain.head.values, above.head.values)


def test_early_stopping_keeps_the_best_step_and_stops() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    stopping = EarlyStopping(every=5, patience=2)
    noise = encoded("pair-classification", seed=3, signal=False)
    one = cell(METHODS["lora"], steps=400, learning_rate=1e-2, early_stopping=stopping)
    one = replace(one, tasks=(replace(one.tasks[0], dev=(Pool("en", noise),)),))
    together = train(packed, [one, cell(METHODS["lora"], seed=9, steps=60)])
    state = together[0].state
    assert state.step < 400 and state.best is not None
    assert state.best.score == max(score for _, score in state.dev_scores)
    assert state.step == state.best.step + 2 * 5
    assert train_module.dev_score(packed, one, together[0].trained) == state.best.score
    assert together[1].state.step == 60


def test_a_diverging_cell_leaves_without_disturbing_its_neighbour() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    healthy = cell(METHODS["lora"], seed=1)
    start = CellState.start(healthy, shape_of(packed))
    poison = dict(train(packed, [cell(METHODS["lora"], seed=2, steps=1)])[0].trained.slots[0].tensors)
    name = next(iter(poison))
    poison[name] = torch.full_like(poison[name], math.inf)
    sick = cell(METHODS["lora"], seed=2, initial=poison)
    together = train(packed, [sick, healthy])
    assert [outcome.status for outcome in together] == ["diverged", "done"]
    assert together[0].state.step == 0
    assert start.step == 0
    assert_same_training(together[1], train(packed, [healthy])[0])


def test_the_learning_rate_is_the_hugging_face_schedule() -> None:
    from transformers import get_linear_schedule_with_warmup

    one = cell(METHODS["lora"], steps=37, warmup_ratio=0.1)
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=present(one.settings.learning_rate))
    schedule = get_linear_schedule_with_warmup(optimiser, math.ceil(0.1 * 37), 37)  # type: ignore[no-untyped-call]
    for step in range(37):
        assert one.learning_rate(step) == pytest.approx(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()


def test_a_bundle_gives_back_what_it_was_given() -> None:
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = [cell(METHODS["double"], seed=seed) for seed in (1, 2, 3)]
    states = [CellState.start(one, shape_of(packed)) for one in cells]
    expected = [state.adapter.values.clone() for state in states]
    bundle = Bundle(packed, cells, states)
    for position in range(3):
        assert torch.equal(bundle.state(position).adapter.values, expected[position])
