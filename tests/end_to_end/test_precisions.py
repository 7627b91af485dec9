"""One grid over the same backbone in every number format that a CPU runs, through the real command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet

from adapterx.backbones.precisions import PRECISIONS
from adapterx.machine import kernels
from tests.support.command import adapterx

LOADS = [name for name, one in PRECISIONS.items() if one.capability == (0, 0)]


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> tuple[Path, Path]:
    """A recipe and the store that it was run into."""
    directory = tmp_path_factory.mktemp("precisions")
    model = str(checkpoints["small"])
    content = {
        "adapterx": 1,
        "name": "grid",
        "backbones": {load: {"model": model, "load": load} for load in [*LOADS, "auto"]},
        "methods": {"lora": {"kind": "lora", "rank": 4}, "full": {"kind": "full"}},
        "intermediates": {"none": None},
        "targets": {"latest": {"task": "time-latest", "languages": ["en", "de"]}},
        "train": {"learning_rate": 1e-3, "batch_size": 8, "steps": 4},
        "evaluate": {"limit": 12, "bootstrap": 100},
    }
    path = directory / "grid.yaml"
    path.write_text(json.dumps(content))
    done = adapterx("run", path, "--store", directory / "store")
    # A few steps teach little, so a cell may collapse; and most precisions refuse full fine-tuning: exit code 1.
    assert done.returncode in (0, 1) and not list(directory.rglob("failure*.json")), done.stdout + done.stderr
    return path, directory / "store"


def cells(store: Path) -> dict[str, dict[str, Any]]:
    report = json.loads((store / "runs" / "grid" / "report" / "report.json").read_text())
    return {cell["name"]: cell for cell in report["cells"]}


def logits(store: Path, name: str) -> np.ndarray:
    (path,) = (store / "stages" / "evaluation").glob(f"{name}.*/predictions.parquet")
    return np.concatenate([np.ravel(row["logits"]) for row in parquet.read_table(path).to_pylist()])


def test_every_precision_runs_and_all_of_them_make_other_results(grid: tuple[Path, Path]) -> None:
    _, store = grid
    found = {load: logits(store, f"{load}.lora.none.latest") for load in LOADS}
    exact = found.pop("float32")
    for load, own in found.items():
        assert own.shape == exact.shape
        assert 0 < np.abs(own - exact).max() < 0.5, load


def test_full_fine_tuning_starts_from_the_checkpoint_and_is_refused_where_weights_are_rounded(
    grid: tuple[Path, Path], tmp_path: Path
) -> None:
    path, store = grid
    plan = adapterx("plan", path, "--store", store)
    for load in LOADS:
        refused = f"the backbone '{load}' is loaded in {load}: set load: float32 or bfloat16" in " ".join(
            plan.stdout.split()
        )
        assert refused is (load not in ("float32", "bfloat16")), load
    difference = np.abs(logits(store, "bfloat16.full.none.latest") - logits(store, "float32.full.none.latest"))
    # Both train the checkpoint's own numbers in float32; what differs is how they are multiplied.
    assert difference.max() < 0.2
    assert bool(difference.max() > 0) is kernels.multiplies_bfloat16()


def test_auto_says_what_it_is_and_is_no_other_result(grid: tuple[Path, Path]) -> None:
    path, store = grid
    plan = adapterx("plan", path, "--store", store)
    assert plan.returncode == 1, "full fine-tuning is refused in most precisions"
    chosen = next(line for line in plan.stdout.splitlines() if line.startswith("auto: auto is loaded in "))
    load = chosen.removeprefix("auto: auto is loaded in ").partition(":")[0]
    assert load == ("bfloat16" if kernels.multiplies_bfloat16() else "float32")
    stored = json.loads(adapterx("plan", path, "--json", "--store", store).stdout)
    assert stored["choices"] == [chosen.removeprefix("auto: ")]
    stages = {one["cell"]["backbone"]: one["stages"] for one in stored["cells"] if one["cell"]["method"] == "lora"}
    assert stages["auto"] == stages[load]


def test_a_cell_answers_new_items_in_its_own_precision(
    grid: tuple[Path, Path], tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    """And its adapter loads onto the plain model, which answers much the same."""
    peft = pytest.importorskip("peft")
    from transformers import XLMRobertaModel

    _, store = grid
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps({"context": "the cat", "choices": ["a", "the", "cat", "b"]}))
    for load in ("int8-rows", "nf4"):
        out = tmp_path / load
        name = f"{load}.lora.none.latest.seed1"
        assert (
            adapterx("export", name, "--run", "grid", "--format", "peft", "--out", out, "--store", store).returncode
            == 0
        )
        assert json.loads((out / "adapterx.json").read_text())["load"] == load
        answered = adapterx("predict", out, items, "--task", "time-latest")
        assert answered.returncode == 0, answered.stderr
        model = XLMRobertaModel.from_pretrained(checkpoints["small"], add_pooling_layer=False)
        adapted = peft.PeftModel.from_pretrained(model, out)
        tokens = torch.tensor([[0, 31, 32, 17, 2]])
        with torch.no_grad(), adapted.disable_adapter():
            plain = adapted(tokens).last_hidden_state
        with torch.no_grad():
            assert not torch.equal(adapted(tokens).last_hidden_state, plain)


def test_the_reference_lane_trains_over_the_librarys_own_layers_alone(grid: tuple[Path, Path], tmp_path: Path) -> None:
    """And to much the same numbers as the fused one, from the same start on the same batches."""
    pytest.importorskip("peft")
    path, store = grid
    content = json.loads(path.read_text())
    kept = {load: content["backbones"][load] for load in ("int8", "nf4", "int8-rows")}
    own = tmp_path / "grid.yaml"
    lora = {"lora": content["methods"]["lora"]}
    own.write_text(json.dumps({**content, "backbones": kept, "methods": lora, "lane": "reference"}))
    done = adapterx("run", own, "--store", tmp_path / "store")
    told = " ".join(done.stdout.split())
    assert done.returncode == 1 and "trained 2 stages, evaluated 2" in told, done.stdout + done.stderr
    assert "'int8-rows' is loaded in int8-rows, whose layers `peft` does not know" in told
    for load in ("int8", "nf4"):
        found, fused = (logits(at, f"{load}.lora.none.latest") for at in (tmp_path / "store", store))
        assert np.abs(found - fused).max() < 0.05


def test_a_missing_package_is_named(
    recipe: Callable[..., Path], tmp_path: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    path = recipe(
        backbones={"small": {"model": str(checkpoints["small"]), "load": "nf4"}},
        intermediates={"none": None},
        transfers=["continue"],
        seeds=[1],
        compare=None,
    )
    done = adapterx("run", path, "--store", tmp_path / "store")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "load: nf4 needs bitsandbytes" in " ".join((done.stdout + done.stderr).split())


def test_a_gpus_precision_fails_its_own_cells_with_a_line(
    recipe: Callable[..., Path], tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    path = recipe(
        backbones={"fast": {"model": str(checkpoints["small"]), "load": "fp8"}, "small": str(checkpoints["small"])},
        intermediates={"none": None},
        transfers=["continue"],
        seeds=[1],
        compare=None,
    )
    done = adapterx("run", path, "--store", tmp_path / "store")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "needs a GPU of compute capability 8.9" in " ".join((done.stdout + done.stderr).split())
    assert "trained 1 stages, evaluated 1" in done.stdout
