"""The reference lane from the command line: methods of the libraries, and fused methods as the fused lane has them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from safetensors.torch import load_file

from adapterx.backbones.describe import describe
from adapterx.cli import main
from adapterx.plan import Training, build
from adapterx.recipe import read
from adapterx.store import Store
from adapterx.tasks import data
from tests.support.command import adapterx

PEFT = {
    "dora": {"peft": {"peft_type": "DORA", "r": 4}},
    "ia3": {"peft": {"peft_type": "IA3"}},
    "vera": {"peft": {"peft_type": "VERA", "r": 64}},
}
HUB = {name: {"adapters": name} for name in ("compacter", "prefix_tuning", "ia3", "unipelt")}
SMALL: dict[str, Any] = {
    "backbones": {"small": "embedded/e5-small@1"},
    "intermediates": {"none": None},
    "targets": {"match": {"task": "place-match", "languages": ["en", "de"]}},
    "seeds": [1],
    "train": {
        "learning_rate": 1e-2,
        "batch_size": 4,
        "steps": 6,
        "max_length": 32,
        "limit": 32,
        "early_stopping": {"every": 2, "patience": 1, "limit": 8},
    },
    "evaluate": {"limit": 8, "bootstrap": 100},
    "compare": None,
}


@pytest.mark.slow
def test_methods_of_peft(recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft")
    intermediates = {"none": None, "order": {"tasks": "time-order"}}
    skip = [{"intermediates": "order", "methods": ["ia3", "vera"]}, {"methods": "dora", "transfers": "stack"}]
    path, store = recipe(**{**SMALL, "intermediates": intermediates, "methods": PEFT, "skip": skip}), tmp_path / "store"
    assert main(["run", str(path), "--store", str(store)]) in (0, 1)  # a few steps teach little: a cell may collapse
    assert "trained 5 stages, evaluated 4" in capsys.readouterr().out
    check(path, store)
    assert main(["export", "small.vera.none", "--format", "peft", "--out", "x", "--store", str(store)]) == 2
    assert "is an adapter of the library `peft`, whose files adapterx does not write" in capsys.readouterr().err


@pytest.mark.slow
def test_methods_of_adapters(recipe: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("adapters")
    path, store = recipe(**{**SMALL, "methods": HUB}), tmp_path / "store"
    run = adapterx("run", path, "--store", store)
    assert run.returncode in (0, 1), run.stderr
    assert "trained 4 stages, evaluated 4" in run.stdout, run.stdout + run.stderr
    check(path, store)


def check(path: Path, store: Path) -> None:
    """Every stage is stored, counts as planned, and kept the best of the steps it looked at."""
    from adapterx.reference.measure import measure

    plan, found = build(read(path), path.parent, describe, data, measure), Store(store)
    for stage in plan.stages.values():
        record = found.find(stage.id, stage.kind, stage.label)
        assert record is not None and record.provenance["lane"] == "reference"
        if not isinstance(stage.work, Training):
            assert parquet.read_table(found.read(record, "predictions.parquet")).num_rows == 16
            continue
        assert record.provenance["trained_parameters"] == stage.cost.trainable_parameters
        assert record.result["best_step"] in (2, 4, 6)
        tensors = load_file(found.read(record, "adapter.safetensors"))
        assert sum(tensor.numel() for tensor in tensors.values()) == stage.cost.trainable_parameters


def test_any_fused_recipe_gives_the_same(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    methods = {"lora": {"kind": "lora", "rank": 4}, "head": {"kind": "head"}}
    backbones = {"small": str(checkpoints["small"])}
    path, tables, answers = recipe(**{**SMALL, "backbones": backbones, "methods": methods}), [], []
    for lane in ("fused", "reference"):
        store = tmp_path / lane
        assert main(["run", str(path), f"lane={lane}", "--store", str(store)]) in (0, 1)
        with (store / "runs" / "grid" / "report" / "results.csv").open() as file:
            tables.append(list(csv.DictReader(file)))
        records = [json.loads(one.read_text()) for one in store.rglob("record.json")]
        assert {record["provenance"]["lane"] for record in records} == {lane}
        files = sorted(store.rglob("predictions.parquet"))
        answers.append([parquet.read_table(one).column("prediction").to_pylist() for one in files])
    assert tables[0] == tables[1] and answers[0] == answers[1]
    assert "trained 2 stages, evaluated 2" in capsys.readouterr().out
