"""A mixture of tasks by fixed weights and merge weights tuned on dev data, from the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapterx.cli import main
from tests.end_to_end.test_run import records


def test_a_weighted_mixture_is_merged_by_tuned_weights(
    recipe: Callable[..., Path], tmp_path: Path, checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mix: dict[str, Any] = {
        "tasks": ["time-order", "place-choice"],
        "sampling": {"weights": {"time-order": 1e-9, "place-choice": 1}},
    }
    sections: dict[str, Any] = {
        "backbones": {"small": str(checkpoints["small"])},
        "methods": {"lora": {"kind": "lora", "rank": 2}, "bottleneck": {"kind": "bottleneck", "reduction_factor": 4}},
        "intermediates": {
            "mix": mix,
            "order": {"tasks": "time-order", "languages": ["en", "de"]},
            "both": {"members": ["mix", "order"]},
        },
        "transfers": {
            "tuned": {"kind": "merge", "weights": "tuned", "tuning_limit": 16},
            "exact": {"kind": "merge", "method": "cat", "weights": "tuned", "tuning_limit": 16},
        },
        "targets": {"latest": {"task": "time-latest", "languages": ["en"]}},
        "skip": [{"intermediates": ["mix", "order"]}, {"methods": "bottleneck", "transfers": "exact"}],
        "seeds": [1],
        "train": {"learning_rate": 1e-2, "batch_size": 8, "steps": 4, "max_length": 32, "limit": 32},
        "compare": None,
    }
    path = recipe(**sections)
    store = tmp_path / "store"
    main(["run", str(path), "--store", str(store)])
    assert "trained 7 stages, evaluated 3" in capsys.readouterr().out
    targets = {key: one for key, one in records(store).items() if one["kind"] == "target"}
    assert len(targets) == 3
    for record in targets.values():
        tried = record["result"]["weights_tried"]
        assert [one["weights"] for one in tried][:2] == [[0.5, 0.5], [1.0, 0.0]] and len(tried) == 5
        assert all(one["dev"] == pytest.approx(sum(one["dev_by_member"]) / 2) for one in tried)
        chosen = [one["dev"] for one in tried if one["weights"] == record["result"]["weights"]]
        assert chosen == [max(one["dev"] for one in tried)]
        assert record["settings"]["tuning"]["limit"] == 16
        assert [sorted(tasks) for tasks in record["settings"]["tuning"]["dev"].values()] == [
            ["place-choice", "time-order"],
            ["time-order"],
        ]
    mixture = records(store)["intermediate small.lora.mix.seed1"]
    assert mixture["settings"]["sampling"]["weights"] == pytest.approx({"place-choice": 1.0, "time-order": 1e-9})

    report = (store / "runs" / "grid" / "report" / "report.md").read_text()
    assert "## Tuning" in report and "Merge weights" in report

    # The same mixture in another unit is stored; weights that are chosen again are the same.
    for directory in store.glob("stages/target/*.tuned.*"):
        shutil.rmtree(directory)
    scaled = {**mix, "sampling": {"weights": {"time-order": 2e-9, "place-choice": 2}}}
    path = recipe(**{**sections, "intermediates": {**sections["intermediates"], "mix": scaled}})
    main(["run", str(path), "--store", str(store)])
    assert "trained 2 stages, evaluated 0" in capsys.readouterr().out
    assert {key: one["result"]["weights_tried"] for key, one in records(store).items() if key in targets} == {
        key: one["result"]["weights_tried"] for key, one in targets.items()
    }
