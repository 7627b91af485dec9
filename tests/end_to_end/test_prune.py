"""A recipe that prunes, through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_run import records
from tests.support.command import adapterx

RATES = [1e-6, 1e9, 3e-3, 1e-3]
DECAY = 1.0
"""Times the second rate a factor of a billion on every weight, at every step: after five none is finite."""
STEPS = 24
"""A quarter of them, the first rung, is more than five."""


def curve(store: Path, record: dict[str, Any]) -> list[dict[str, Any]]:
    (directory,) = store.glob(f"stages/{record['kind']}/*-{record['id'][:12]}")
    return [json.loads(line) for line in (directory / "training.jsonl").read_text().splitlines()]


def test_every_arm_is_tuned_alike_and_keeps_what_its_rate_gives_alone(
    recipe: Callable[..., Path], tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    tuned, alone = tmp_path / "tuned", tmp_path / "alone"
    prune = {"learning_rates": RATES, "rungs": [0.25, 0.5], "limit": 20}
    sections = {
        "backbones": {"small": str(checkpoints["small"])},
        "methods": {"bottleneck": {"kind": "bottleneck"}},
        "intermediates": {"none": None, "en": {"tasks": "time-order"}},
        "transfers": ["stack"],
        "seeds": [1],
        "compare": None,
    }
    path = recipe(**sections, train={"prune": prune, "batch_size": 8, "steps": STEPS, "weight_decay": DECAY})
    plan = adapterx("plan", path, "--store", tuned)
    assert "to train, 4 rates" in plan.stdout and "2 times the steps of one" in plan.stdout
    run = adapterx("run", path, "--store", tuned, "--checkpoint-every", "0.01")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "trained 3 stages, evaluated 2" in run.stdout
    assert not list(tuned.glob("checkpoints/*"))

    stages = {key: record for key, record in records(tuned).items() if "tuning" in record["result"]}
    assert {key.split()[0] for key in stages} == {"intermediate", "target"} and len(stages) == 3
    for record in stages.values():
        result = record["result"]
        assert [one["learning_rate"] for one in result["tuning"]] == RATES
        by_outcome = {one["outcome"]: one for one in result["tuning"]}
        assert set(by_outcome) == {"diverged", "pruned", "won"}
        assert by_outcome["won"]["learning_rate"] == result["learning_rate"]
        assert result["steps"] == by_outcome["won"]["steps"] == STEPS == len(curve(tuned, record))
        assert list(by_outcome["won"]["dev"]) == ["6", "12", "24"]
        assert record["provenance"]["candidates"] == 4
        assert record["provenance"]["trained_together"] in (4, 8), "one stage's candidates, or two stages'"
        assert record["provenance"]["examples"] == 8 * sum(one["steps"] for one in result["tuning"])
    directory = tuned / "runs" / "grid" / "report"
    assert len(json.loads((directory / "report.json").read_text())["tuning"]) == 3
    assert "Tuning" in (directory / "index.html").read_text()

    intermediate = next(record for record in stages.values() if record["kind"] == "intermediate")
    target = next(record for record in stages.values() if record["slug"].startswith("small.bottleneck.none"))
    train = {
        "batch_size": 8,
        "steps": STEPS,
        "weight_decay": DECAY,
        "intermediate": {"learning_rate": intermediate["result"]["learning_rate"]},
        "target": {"learning_rate": target["result"]["learning_rate"]},
    }
    assert adapterx("run", recipe(**sections, train=train), "--store", alone).returncode == 0
    for record in (intermediate, target):
        theirs = curve(alone, records(alone)[f"{record['kind']} {record['slug']}"])
        ours = curve(tuned, record)
        assert [point["loss"] for point in ours] == pytest.approx([point["loss"] for point in theirs], rel=1e-4)
        assert [point["learning_rate"] for point in ours] == [point["learning_rate"] for point in theirs]
