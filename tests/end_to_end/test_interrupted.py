"""A run that is asked to end, and what a user is told and finds: the saved step, the report, and no traceback."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx import reference
from adapterx.cli import main
from adapterx.engine import evaluate as evaluate_module
from adapterx.engine.bundle import Bundle
from adapterx.executors.finished import FinishedTrainings
from adapterx.executors.recorder import Recorder

Recipe = Callable[..., Path]
SMALL: dict[str, object] = {
    "intermediates": {"none": None},
    "seeds": [1, 2],
    "compare": None,
    "train": {"batch_size": 4, "steps": 8},
    "targets": {"latest": {"task": "time-latest", "languages": ["en", "de"]}},
}


@pytest.fixture
def small(recipe: Recipe, checkpoints: dict[str, Path]) -> Callable[..., Path]:
    """A grid of two trainings; keyword arguments as of `recipe`."""
    return lambda **more: recipe(**{**SMALL, "backbones": {"small": str(checkpoints["small"])}, **more})


def stop_in(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int, number: int = signal.SIGINT) -> None:
    """Send this process a signal at a call, counted from 1."""
    original, calls = getattr(owner, name), []

    def stopped(*args: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return original(*args, **more)

    monkeypatch.setattr(owner, name, stopped)


def predictions(store: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(store.glob("stages/*/*/predictions.parquet"))]


def adapters(store: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(store.glob("stages/*/*/adapter.safetensors"))]


@pytest.mark.parametrize("lane", ["fused", "reference"])
def test_the_bundle_is_saved_and_gone_on_with(
    lane: str, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small(lane=lane)
    straight, stopped = (["run", str(path), "--store", str(tmp_path / name)] for name in ("straight", "stopped"))
    assert main(straight) in (0, 1)
    if lane == "fused":
        stop_in(monkeypatch, Bundle, "_gradients", 6, signal.SIGTERM)
    else:
        pytest.importorskip("peft")
        stop_in(monkeypatch, reference.train.__globals__["_ReferenceTraining"], "step", 6, signal.SIGTERM)
    capsys.readouterr()
    assert main(stopped) == 143
    said = capsys.readouterr()
    assert said.err == "terminated; saved at step 5 of 8; run again to go on\n"
    assert "Traceback" not in said.out + said.err
    monkeypatch.undo()
    assert main(stopped) in (0, 1)
    assert adapters(tmp_path / "stopped") == adapters(tmp_path / "straight")
    assert predictions(tmp_path / "stopped") == predictions(tmp_path / "straight")
    assert not list((tmp_path / "stopped" / "checkpoints").iterdir())


def test_an_evaluation_ends_at_once_and_trainings_are_stored(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_in(monkeypatch, evaluate_module, "predict", 1)
    assert main(["run", str(small()), "--store", str(tmp_path / "store")]) == 130
    assert capsys.readouterr().err == "interrupted; finished stages are stored; run again to go on\n"
    assert len(adapters(tmp_path / "store")) == 2 and not predictions(tmp_path / "store")


def test_what_is_trained_is_stored_even_if_the_run_is_to_end(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in(monkeypatch, Recorder, "training", 1)
    assert main(["run", str(small()), "--store", str(tmp_path / "store")]) == 130
    assert len(adapters(tmp_path / "store")) == 2


def test_the_report_stays_until_the_next_is_there(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    folder = store / "runs" / "grid" / "report"
    run = ["run", str(small()), "--store", str(store)]
    assert main(run) in (0, 1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wider = ["run", str(small(seeds=[1, 2, 3])), "--store", str(store)]
    stop_in(monkeypatch, Bundle, "_gradients", 3)
    capsys.readouterr()
    assert main(wider) == 130
    said = capsys.readouterr()
    note = folder / "OUTDATED.txt"
    assert str(note) in said.out and "is of an earlier state of the recipe" in " ".join(said.out.split())
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"earlier state of the recipe" in after.pop("OUTDATED.txt")
    assert after == before
    monkeypatch.undo()
    assert main(["report", "grid", "--store", str(store)]) == 0
    assert not note.exists(), "it is of what was asked for last"
    assert "1 of 3" not in (folder / "report.md").read_text() and "2 of 3" in (folder / "report.md").read_text()
    assert main(wider) in (0, 1)
    assert {path.name for path in folder.iterdir()} == set(before) and not note.exists()
    assert (
        json.loads((folder / "report.json").read_text())["run_state"] != json.loads(before["report.json"])["run_state"]
    )
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".report")] == []


def test_a_defect_has_an_exit_code_of_its_own(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cell meets an error that nobody foresaw: the others are done, and the traceback is in a file."""
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    original = FinishedTrainings.with_head

    def faulty(finished: FinishedTrainings, id: str) -> object:
        if "seed2" in finished._stages[id].label:
            raise IndexError("surprise")
        return original(finished, id)

    monkeypatch.setattr(FinishedTrainings, "with_head", faulty)
    assert main(["run", str(small()), "--store", str(tmp_path / "store")]) == 70
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    told = " ".join(said.out.split())
    assert "a defect of the program: IndexError: surprise (the traceback is in" in told
    (log,) = (tmp_path / "cache" / "logs").iterdir()
    assert "faulty" in log.read_text() and str(log) in told
    assert len(predictions(tmp_path / "store")) == 1
    monkeypatch.setattr(FinishedTrainings, "with_head", original)
    assert main(["run", str(small()), "--store", str(tmp_path / "store")]) in (0, 1)
