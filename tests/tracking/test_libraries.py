"""The trackers' own packages take what a run tells them, where they are installed: their files, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx import tracking
from adapterx.tracking import TrackedRun

WRITES = {
    "wandb": "run/wandb/offline-run-*/run-*.wandb",
    "trackio": "trackio/adapterx.db",
    "mlflow": "mlflow.db",
}


@pytest.mark.parametrize("name", WRITES)
def test_a_run_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    pytest.importorskip(name, reason=f"the tracker {name} is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    told = tracking.start([name], TrackedRun("grid", {"seeds": [1, 2], "train": {"steps": 4}}, tmp_path / "run"))
    told.steps([("small.lora@2.none.latest.seed1", 1, 4, 0.9), ("other", 2, 4, 0.8)])
    told.finished("small.lora@2.none.latest.seed1", {"accuracy/sw": 0.5})
    told.close("done")
    assert [path for path in tmp_path.glob(WRITES[name]) if path.stat().st_size]
