"""Trackers: TensorBoard's files read back by its own reader, the others by stand-ins with the real signatures."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapterx import tracking
from adapterx.store import Store
from adapterx.tracking import TrackedRun, Trackers, TrackingError
from adapterx.tracking.base import EVERY, Ended
from adapterx.tracking.registry import flat
from tests.support.command import adapterx
from tests.tracking.fakes import Call, FakeMlflow, FakeTrackio, FakeWandb

RUN = TrackedRun("grid", {"seeds": [1, 2], "train": {"steps": 4, "limit": None}, "note": "x" * 900}, Path("/runs/grid"))
LABEL = "b.lora@2.en+de.seed1"


def lead(trackers: Trackers, ended: Ended = "done") -> None:
    """What a small run tells: two trainings at different steps, a loss that is no number, an evaluation, its end."""
    trackers.steps([(LABEL, 1, 4, 0.9), ("other", 2, 4, 0.8), ("broken", 2, 4, float("nan"))])
    trackers.finished("evaluation", {"accuracy/sw": 0.5})
    trackers.close(ended)


@pytest.fixture
def calls() -> list[Call]:
    return []


def test_wandb_has_one_run_with_losses_and_a_summary(monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", FakeWandb(calls))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    lead(tracking.start(["wandb"], RUN), "failed")
    assert [name for name, _ in calls] == ["init", "log", "summary", "finish"]
    assert calls[0][1] == {
        "project": "adapterx", "dir": "/runs/grid", "name": "grid", "config": dict(RUN.recipe), "reinit": "create_new"
    }  # fmt: skip
    losses = {f"loss/{LABEL}": 0.9, f"step/{LABEL}": 1, "loss/other": 0.8, "step/other": 2}
    assert calls[1][1] == {"data": losses, "step": None}
    assert calls[2][1] == {"evaluation/accuracy/sw": 0.5} and calls[3][1] == {"exit_code": 1}


def test_trackio_has_one_run(monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    monkeypatch.setitem(sys.modules, "trackio", FakeTrackio(calls))
    lead(tracking.start(["trackio"], RUN))
    assert [name for name, _ in calls] == ["init", "log", "log", "finish"]
    assert calls[1][1]["metrics"]["loss/other"] == 0.8 and calls[2][1]["metrics"] == {"evaluation/accuracy/sw": 0.5}


def test_mlflow_takes_names_values_and_steps(monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", FakeMlflow(calls))
    lead(tracking.start(["mlflow"], RUN), "interrupted")
    assert [name for name, _ in calls] == [
        "set_experiment", "start_run", "log_params", "log_metrics", "log_metrics", "log_metrics", "end_run"
    ]  # fmt: skip
    assert calls[2][1]["train.steps"] == "4" and len(calls[2][1]["note"]) == 500
    by_step = {call["step"]: call["metrics"] for name, call in calls if name == "log_metrics"}
    assert by_step[1] == {"loss/b.lora_2.en_de.seed1": 0.9} and by_step[2] == {"loss/other": 0.8}
    assert calls[-1][1] == {"status": "KILLED"}


def test_tensorboard_reads_back_what_was_told(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trackers = tracking.start(["tensorboard"], TrackedRun("grid", {}, tmp_path))
    lead(trackers)

    def scalars(label: str) -> dict[str, list[tuple[int, Any]]]:
        found = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / label))
        found.Reload()
        return {
            tag: [(one.step, pytest.approx(one.value)) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]
        }

    assert scalars(LABEL) == {"loss": [(1, 0.9)]} and scalars("other") == {"loss": [(2, 0.8)]}
    assert scalars("evaluation") == {"accuracy/sw": [(0, 0.5)]}


@pytest.mark.parametrize("name", tracking.NAMES)
def test_a_tracker_that_is_not_installed_names_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TrackingError, match=rf"--track {name}: .*pip install 'adapterx\[{name}\]'"):
        tracking.start([name], RUN)


class Broken:
    """A tracker whose server has gone."""

    def __init__(self) -> None:
        self.asked = 0

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        self.asked += 1
        raise ConnectionError("nobody there")

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        self.asked += 1

    def close(self, ended: Ended) -> None:
        self.asked += 1


class Listening:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        self.heard.append(dict(cells))

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        self.heard.append(label)

    def close(self, ended: Ended) -> None:
        self.heard.append(ended)


def test_a_tracker_that_fails_is_told_of_once_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    broken, listening = Broken(), Listening()
    with caplog.at_level(logging.WARNING):
        lead(Trackers({"wandb": broken, "trackio": listening}))
    assert broken.asked == 1
    assert [record.message for record in caplog.records] == ["wandb is told no more: ConnectionError: nobody there"]
    assert listening.heard[1:] == ["evaluation", "done"]


def test_losses_are_told_once_a_second_and_the_last_one_always() -> None:
    now, listening = [0.0], Listening()
    trackers = Trackers({"x": listening}, clock=lambda: now[0])
    for step in range(1, 28):
        trackers.steps([("a", step, 27, 1 / step)])
        now[0] += EVERY / 8
    trackers.close("done")
    steps = [told["a"][0] for told in listening.heard if isinstance(told, dict)]
    assert steps == [1, 9, 17, 25, 27]


def test_settings_become_flat_names() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [1]}}, "e": None, "f": {}}) == {"a.b": "1", "a.c.d": "[1]", "f": "{}"}


def test_a_run_tells_a_tracker_and_other_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[Call]
) -> None:
    """The real command, with a stand-in for the library: every training's loss, every evaluation's scores, its end."""
    from tests.backbones.checkpoints import save

    save(tmp_path / "backbone")
    monkeypatch.setitem(sys.modules, "trackio", FakeTrackio(calls))
    recipe = {
        "adapterx": 1,
        "name": "told",
        "backbones": {"small": str(tmp_path / "backbone")},
        "methods": {"lora": {"kind": "lora", "rank": 4, "layers": "top-2"}},
        "intermediates": {"none": None},
        "targets": {"order": {"task": "time-order", "languages": ["en", "de"]}},
        "seeds": [1, 2],
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 4, "limit": 12, "max_length": 32},
        "evaluate": {"limit": 12, "bootstrap": 100},
    }
    (tmp_path / "told.yaml").write_text(json.dumps(recipe))
    done = adapterx("run", tmp_path / "told.yaml", "--store", tmp_path / "store", "--track", "trackio")
    assert done.returncode in (0, 1), done.stderr
    metrics = {key: value for name, call in calls if name == "log" for key, value in call["metrics"].items()}
    labels = [f"small.lora.none.order.seed{seed}" for seed in (1, 2)]
    logs = {
        label: [
            json.loads(line)
            for line in next((tmp_path / "store").glob(f"stages/target/{label}-*/training.jsonl")).open()
        ]
        for label in labels
    }
    for label in labels:
        assert metrics[f"step/{label}"] == 4
        assert metrics[f"loss/{label}"] == pytest.approx(logs[label][-1]["loss"])
        assert 0 <= metrics[f"{label}/accuracy/de"] <= 1
    assert calls[0][0] == "init" and calls[-1][0] == "finish"
    found = json.loads(adapterx("watch", "told", "--json", "--store", tmp_path / "store").stdout)
    assert found["seen"] == "done" and found["cells"] == {"evaluated": 2}
    assert (found["progress"]["done"], found["progress"]["stages"], found["progress"]["share"]) == (4, 4, 1.0)
    # The page shows the texts of what was evaluated.
    page = (tmp_path / "store" / "runs" / "told" / "report" / "index.html").read_text()
    details = json.loads(page.partition('id="details">')[2].partition("</script>")[0])
    target = details["targets"]["order"]
    assert target["without"] == "" and set(target["texts"]) == {"en", "de"}
    shown = {item[0] for cell in details["cells"] for item in cell["items"]["de"]}
    assert set(target["texts"]["de"]) == shown and all(all(texts) for texts in target["texts"]["de"].values())
    # Nothing of it is part of a result.
    records = list(Store(tmp_path / "store").root.glob("stages/*/*/record.json"))
    assert records and all("track" not in path.read_text() for path in records)
