"""Full fine-tuning from the command line: alone, over an intermediate, and stopping early."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from adapterx.cli import main


def test_full_fine_tuning(recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, store = (
        recipe(
            backbones={"small": str(json.loads(recipe().read_text())["backbones"]["small"])},
            methods={"full": {"kind": "full", "gradient_checkpointing": True}},
            intermediates={"none": None, "en": {"tasks": "time-order"}},
            transfers=["continue"],
            seeds=[1],
            train={
                "learning_rate": 1e-3,
                "batch_size": 8,
                "steps": 6,
                "early_stopping": {"every": 2, "patience": 2, "limit": 8},
            },
            compare=None,
        ),
        tmp_path / "store",
    )
    assert main(["run", str(path), "--store", str(store)]) in (0, 1)  # a few steps teach little: a cell may collapse
    assert "trained 3 stages, evaluated 2" in capsys.readouterr().out
    found = {}
    for kind in ("intermediate", "target"):
        for directory in (store / "stages" / kind).iterdir():
            record = json.loads((directory / "record.json").read_text())
            assert record["result"]["best_step"] in (2, 4, 6)
            found[directory.name.rpartition("-")[0]] = load_file(directory / "adapter.safetensors")
    first, second = found["small.full.en.seed1"], found["small.full.en.continue.latest.seed1"]
    alone = found["small.full.none.latest.seed1"]
    name = "encoder.layer.0.output.dense.weight"
    assert not (first[name] == second[name]).all() and not (second[name] == alone[name]).all()
    assert main(["export", "small.full.none", "--format", "peft", "--out", "x", "--store", str(store)]) == 2
    assert "trains every weight, so there is no adapter to export" in capsys.readouterr().err
