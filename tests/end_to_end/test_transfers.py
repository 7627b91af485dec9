"""A grid in which the adapters of two intermediates reach the target by fusion and by merges, from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.support.command import adapterx


@pytest.mark.slow
def test_fuse_and_merge(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path, store = (
        recipe(
            backbones={"small": "embedded/e5-small@2"},
            methods={"lora": {"kind": "lora", "rank": 4}, "double": {"kind": "bottleneck", "placement": "double"}},
            intermediates={
                "order": {"tasks": "time-order"},
                "choice": {"tasks": "place-choice"},
                "both": {"members": ["order", "choice"]},
            },
            transfers={
                "fusion": {"kind": "fuse", "learning_rate": 1e-2, "value_rank": 4},
                "merge": {"kind": "merge"},
                "ties": {"kind": "merge", "method": "ties", "density": 0.4},
                "wide": {"kind": "merge", "method": "cat", "weights": [0.7, 0.3]},
            },
            skip=[{"intermediates": ["order", "choice"]}],
            train={"learning_rate": 1e-3, "batch_size": 4, "steps": 3, "max_length": 48},
            seeds=[1],
            compare=None,
        ),
        tmp_path / "store",
    )
    planned = adapterx("plan", path, "--store", store)
    assert planned.returncode == 1, planned.stderr  # some cells are refused
    told = " ".join(planned.stdout.split())
    assert "the transfer 'fusion' mixes what bottleneck adapters add to a layer, and the method 'lora' is lora" in told
    assert "the transfer 'wide' merges by cat, which is not defined for the bottleneck adapters" in told
    run = adapterx("run", path, "--store", store)
    assert run.returncode in (0, 1), run.stderr  # three steps teach little: a cell may collapse
    assert "trained 9 stages, evaluated 5" in run.stdout, run.stdout + run.stderr
    again = adapterx("run", path, "--store", store)
    assert "nothing to train: 14 of 14 stages are stored" in again.stdout, again.stdout + again.stderr
    run_dir = store / "runs" / "grid"
    with (run_dir / "report" / "results.csv").open() as file:
        found = {(row["method"], row["transfer"]) for row in csv.DictReader(file) if row["language"]}
    expected = {("lora", "merge"), ("lora", "ties"), ("lora", "wide"), ("double", "fusion"), ("double", "merge")}
    assert found == expected
    stages = {}
    for cell in json.loads((run_dir / "run.json").read_text())["cells"]:
        if cell["stages"]:
            assert [one["slug"].split(".")[2] for one in cell["members"]] == ["order", "choice"]
            stages[cell["cell"]["method"], cell["cell"]["transfer"]] = cell["stages"]["target"]["id"]
    records = [json.loads(file.read_text()) for file in store.rglob("record.json")]
    directories = {json.loads(file.read_text())["id"]: file.parent for file in store.rglob("record.json")}
    assert all(len(record["inputs"]) == 2 for record in records if record["id"] in stages.values())
    fusion, wide = (
        load_file(directories[stages[place]] / "adapter.safetensors")
        for place in (("double", "fusion"), ("lora", "wide"))
    )
    assert all(".fusion." in name or name.startswith("head.") for name in fusion)
    assert fusion["encoder.layer.1.output.fusion.value.lora_B"].shape == (384, 4)
    assert wide["encoder.layer.0.attention.self.query.lora_A"].shape[0] == 8
