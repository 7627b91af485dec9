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

PEFT = {"dora": {"peft": {"peft_type": "DORA", "r": 4}}, "vera": {"peft": {"peft_type": "VERA", "r": 64}}}
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
        "early_stopping": {"every": 2, "patience": 1, "limit": 8},
    },
    "evaluate": {"limit": 8, "bootstrap": 100},
    "compare": None,
}


def test_methods_of_the_libraries(recipe: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("peft")
    pytest.importorskip("adapters")
    from adapterx.reference.measure import measure

    transfers = {"intermediates": {"none": None, "order": {"tasks": "time-order"}}, "transfers": ["continue"]}
    skip = [{"intermediates": "order", "methods": [*HUB, "vera"]}]
    path, store = recipe(**{**SMALL, **transfers, "methods": PEFT | HUB, "skip": skip}), tmp_path / "store"
    run = adapterx("run", path, "--store", store)
    assert run.returncode in (0, 1), run.stderr  # a few steps teach little: a cell may collapse
    assert "trained 8 stages, evaluated 7" in run.stdout, run.stdout + run.stderr
    plan = build(read(path), path.parent, describe, data, measure)
    found = Store(store)
    for stage in plan.stages.values():
        record = found.find(stage.id, stage.kind, stage.slug)
        assert record is not None and record.provenance["lane"] == "reference"
        if not isinstance(stage.work, Training):
            predictions = parquet.read_table(found.read(record, "predictions.parquet"))
            assert predictions.num_rows == 16
            continue
        assert record.provenance["trained_parameters"] == stage.cost.trainable_parameters
        assert record.result["best_step"] and record.result["best_step"] % 2 == 0
        tensors = load_file(found.read(record, "adapter.safetensors"))
        assert sum(tensor.numel() for tensor in tensors.values()) == stage.cost.trainable_parameters
    export = ["export", "small.vera", "--format", "peft", "--out", str(tmp_path / "out"), "--store", str(store)]
    assert main(export) == 2


def test_any_fused_recipe_gives_the_same(
    recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    methods = {"lora": {"kind": "lora", "rank": 4}, "head": {"kind": "head"}}
    path, tables, answers = recipe(**{**SMALL, "methods": methods}), [], []
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
