"""A training that is asked to end, wherever it is, goes on later as if nothing had happened, to the last bit."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adapterx import reference
from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import train as train_module
from adapterx.engine.bundle import Bundle
from adapterx.engine.cell import TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.halving import Bracket, ladder
from adapterx.engine.optimiser import RowAdamW
from adapterx.engine.train import Outcome, train
from adapterx.stopping import Stopped, heeded
from adapterx.train_settings import EarlyStopping
from tests.cells import METHODS, cell
from tests.models import encoder

NEVER = 1e9
REFERENCE = importlib.import_module("adapterx.reference.train")
Train = Callable[[Sequence[TrainingCell], Checkpoints | None], list[Outcome]]


def fused(cells: Sequence[TrainingCell], checkpoints: Checkpoints | None) -> list[Outcome]:
    return train(PackedEncoder(encoder("xlm-roberta")), cells, checkpoints)


def alone(cells: Sequence[TrainingCell], checkpoints: Checkpoints | None) -> list[Outcome]:
    return [reference.train(encoder("xlm-roberta"), one, checkpoints) for one in cells]


def halved(cells: Sequence[TrainingCell], checkpoints: Checkpoints | None) -> list[Outcome]:
    bracket = Bracket((0, 1), ladder([0.5], [1], cells[0].total_steps), cells[0].tasks)
    return train(PackedEncoder(encoder("xlm-roberta")), cells, checkpoints, brackets=[bracket])


def stop_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int) -> None:
    """Send this process Ctrl-C in the midst of a call, counted from 1."""
    original, calls = getattr(owner, name), []

    def interrupted(*args: object, **more: object) -> object:
        result = original(*args, **more)
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(owner, name, interrupted)


def cells(count: int, early_stopping: EarlyStopping | None = None) -> list[TrainingCell]:
    made = [cell(METHODS["lora"], seed=seed, steps=12, early_stopping=early_stopping) for seed in range(1, count + 1)]
    return [replace(one, key=f"target {one.seed}") for one in made]


def assert_resumed(
    run: Train, own: Sequence[TrainingCell], step: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is stopped and saved at a step; going on gives what an undisturbed one gives."""
    checkpoints = Checkpoints(path, NEVER)
    with pytest.raises(Stopped) as stopped, heeded(str, last=False):
        run(own, checkpoints)
    assert stopped.value.note == f"saved at step {step} of 12"
    monkeypatch.undo()
    saved = checkpoints.resume([one.key for one in own])
    assert step in {state.step for state in saved.values()}
    for ours, theirs in zip(run(own, checkpoints), run(own, None), strict=True):
        assert ours.status == theirs.status
        for name in ("step", "examples", "tokens", "losses", "dev_scores", "rungs"):
            assert getattr(ours.state, name) == getattr(theirs.state, name), name
        for left, right in zip(ours.trained.slots, theirs.trained.slots, strict=True):
            assert all(torch.equal(tensor, right.tensors[name]) for name, tensor in left.tensors.items())
        assert all(torch.equal(tensor, theirs.trained.heads[name]) for name, tensor in ours.trained.heads.items())


@pytest.mark.parametrize(
    ("owner", "name", "call", "step"),
    [
        (Bundle, "_differentiate", 6, 5),  # gradients, and no step yet
        (RowAdamW, "step_row", 4 * 5 + 1, 6),  # one of the rows of the sixth step
        (Bundle, "_booked", 6, 6),
        (Bundle, "_start_loader", 1, 0),
    ],
)
def test_a_bundle_stopped_between_and_within_steps(
    owner: object, name: str, call: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, owner, name, call)
    if step:
        assert_resumed(fused, cells(2), step, tmp_path, monkeypatch)
    else:
        with pytest.raises(Stopped) as stopped, heeded(str, last=False):
            fused(cells(2), Checkpoints(tmp_path, NEVER))
        assert stopped.value.note == "" and not list(tmp_path.iterdir()), "there is nothing to save"


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_an_evaluation_on_the_dev_set_that_was_due_is_done_later(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cells are evaluated at step 6 and at their end; any of these evaluations may be cut off."""
    stop_at(monkeypatch, train_module, "dev_score", call)
    assert_resumed(fused, cells(2, EarlyStopping(every=6, patience=3)), 6 if call <= 2 else 12, tmp_path, monkeypatch)


@pytest.mark.parametrize(("call", "step"), [(1, 6), (2, 6), (3, 12)])
def test_a_bracket_decides_alike(call: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are scored at the rung, one of them at its end."""
    stop_at(monkeypatch, train_module, "dev_score", call)
    assert_resumed(halved, cells(2), step, tmp_path, monkeypatch)


@pytest.mark.parametrize(("name", "call", "step"), [("read", 5, 4), ("scores", 1, 6), ("scores", 2, 12)])
def test_the_reference_lane(name: str, call: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    stop_at(monkeypatch, REFERENCE, name, call)
    assert_resumed(alone, cells(1, EarlyStopping(every=6, patience=3)), step, tmp_path, monkeypatch)


def test_a_checkpoint_that_finds_no_room_is_not_told_of_as_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")  # nobody makes a directory in a file
    for run, owner, name in ((fused, Bundle, "_booked"), (alone, REFERENCE._ReferenceTraining, "step")):
        stop_at(monkeypatch, owner, name, 4)
        with pytest.raises(Stopped) as stopped, heeded(str, last=False):
            run(cells(1), Checkpoints(tmp_path / "file" / "checkpoints", NEVER))
        assert stopped.value.note == "what was done since the last checkpoint is lost"
        monkeypatch.undo()
    assert caplog.text.count("no checkpoint can be written") == 2
