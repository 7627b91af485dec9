"""A recipe through the real command line: run, run again, widened, killed, failing in part."""

from __future__ import annotations

import csv
import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tests.support.command import adapterx, environment, start
from tests.support.present import present

Recipe = Callable[..., Path]


def records(store: Path) -> dict[str, dict[str, Any]]:
    """Stored records by kind and label."""
    found = (json.loads(path.read_text()) for path in store.glob("stages/*/*/record.json"))
    return {f"{record['kind']} {record['slug']}": record for record in found}


def results(store: Path, name: str = "grid") -> list[dict[str, str]]:
    with (store / "runs" / name / "report" / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_grid_from_recipe_to_report_and_again(recipe: Recipe, tmp_path: Path) -> None:
    store, path = tmp_path / "store", recipe()
    first = adapterx("run", path, "--store", store)
    assert first.returncode == 0, first.stdout + first.stderr
    # 2 backbones x 2 seeds x (none + 2 intermediates x 2 transfers) cells over shared intermediates
    assert re.search(r"trained 28 stages, evaluated 20", first.stdout)
    kinds = [key.split()[0] for key in records(store)]
    assert (kinds.count("intermediate"), kinds.count("target"), kinds.count("evaluation")) == (8, 20, 20)
    assert re.search(r"^\[ *\d+%\]", first.stdout, re.MULTILINE), "no progress was shown"
    page = Path(present(re.search(r"^report: (.*)$", first.stdout, re.MULTILINE))[1])
    assert page.is_file() and "multi" in page.read_text()
    assert {row["language"] for row in results(store)} >= {"en", "de", "th"}

    # Both backbones have the same tokenizer: time-order in three languages, the target's English, its three tests.
    tokens = sorted((store / "cache" / "tokens").iterdir())
    assert len(tokens) == 7

    before = {key: record["provenance"] for key, record in records(store).items()}
    again = adapterx("run", path, "--store", store)
    assert again.returncode == 0
    assert "nothing to train: 48 of 48 stages are stored" in again.stdout
    assert {key: record["provenance"] for key, record in records(store).items()} == before

    widened = adapterx("run", path, "--store", store, "seeds=[1,2,3]")
    assert "trained 14 stages, evaluated 10" in widened.stdout
    assert sorted((store / "cache" / "tokens").iterdir()) == tokens
    replanned = adapterx("plan", path, "--store", store, "train.target.steps=7")
    assert "train.steps: 6 → 7" in replanned.stdout

    page.unlink()
    report = adapterx("report", "grid", "--store", store)
    assert report.returncode == 0 and page.is_file()


def test_running_again_does_not_load_torch(recipe: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = recipe(intermediates={"none": None}, seeds=[1], compare=None)
    assert adapterx("run", path, "--store", store).returncode == 0
    env = environment(PYTHONPROFILEIMPORTTIME="1")
    again = adapterx("run", path, "--store", store, env=env)
    assert "nothing to train" in again.stdout
    assert not re.search(r"\| +torch$", again.stderr, re.MULTILINE)


def test_shared_stages_do_not_depend_on_names(recipe: Recipe, tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    store = tmp_path / "store"
    assert adapterx("run", recipe(seeds=[1]), "--store", store).returncode == 0
    renamed = recipe(
        seeds=[1],
        name="renamed",
        backbones={"first": str(checkpoints["small"]), "second": str(checkpoints["other"])},
        methods={"low-rank": {"kind": "lora", "rank": 4, "alpha": 16.0}},
    )
    again = adapterx("run", renamed, "--store", store)
    assert "nothing to train: 24 of 24 stages are stored" in again.stdout, again.stdout
    assert [row["value"] for row in results(store, "renamed")] == [row["value"] for row in results(store)]


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_and_resumed_gives_what_uninterrupted_gives(
    recipe: Recipe, tmp_path: Path, ending: signal.Signals
) -> None:
    path = recipe(
        intermediates={"en": {"tasks": "time-order"}},
        transfers=["stack"],
        train={"batch_size": 8, "steps": 200},
        backbones={"small": str(save_path(recipe))},
        compare=None,
    )
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    process = start("run", path, "--store", killed, "--checkpoint-every", "0.05")
    try:
        wait_for(lambda: any(killed.glob("checkpoints/*.safetensors")))
        process.send_signal(ending)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == (-ending if ending == signal.SIGKILL else 128 + ending), output
    assert not records(killed), "it was to be killed within its first training"
    if ending != signal.SIGKILL:
        (last,) = re.findall(
            r"^(?:terminated|interrupted); saved at step (\d+) of 200; run again", output, re.MULTILINE
        )
        (checkpoint,) = killed.glob("checkpoints/*.safetensors")
        with safe_open(checkpoint, framework="pt") as file:
            states = json.loads(file.metadata()["cells"]).values()
        assert {state["step"] for state in states} == {int(last)} and "Traceback" not in output

    resumed = adapterx("run", path, "--store", killed)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert adapterx("run", path, "--store", straight).returncode == 0
    assert not list(killed.glob("checkpoints/*"))
    ours, theirs = records(killed), records(straight)
    assert ours.keys() == theirs.keys()
    for key, record in theirs.items():
        for name, value in record["result"].items():
            assert ours[key]["result"][name] == value
        if "adapter.safetensors" not in record["files"]:
            continue
        assert file_of(killed, record).read_bytes() == file_of(straight, record).read_bytes()
    assert [row["value"] for row in results(killed)] == [row["value"] for row in results(straight)]


def save_path(recipe: Recipe) -> str:
    return str(json.loads(recipe().read_text())["backbones"]["small"])


def file_of(store: Path, record: dict[str, Any]) -> Path:
    (directory,) = store.glob(f"stages/{record['kind']}/*-{record['id'][:12]}")
    return directory / "adapter.safetensors"


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_a_failing_cell_does_not_stop_the_grid(recipe: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = recipe(
        methods={"good": {"kind": "lora", "rank": 4}, "wild": {"kind": "bottleneck"}},
        train={"learning_rate": {"good": 1e-3, "wild": 1e9}, "batch_size": 8, "steps": 12, "weight_decay": 1.0},
        targets={
            "latest": {"task": "time-latest", "languages": ["en", "de"]},
            "nowhere": {"task": "time-latest", "languages": ["en", "xx"]},
        },
        seeds=[1],
    )
    run = adapterx("run", path, "--store", store)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    statuses = {key: record["status"] for key, record in records(store).items()}
    assert statuses["target small.good.none.latest.seed1"] == "done"
    assert statuses["target small.wild.none.latest.seed1"] == "diverged"
    assert "evaluation small.wild.none.latest.seed1" not in statuses
    assert "diverged" in run.stdout
    markdown = (store / "runs" / "grid" / "report" / "report.md").read_text()
    assert "no language 'xx'" in markdown and "not finite" in markdown
    again = adapterx("run", path, "--store", store)
    assert again.returncode == 1 and "nothing to train" in again.stdout


def test_what_cannot_run_says_why_and_leaves_earlier_results(recipe: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = recipe(intermediates={"none": None}, seeds=[1], compare=None)
    assert adapterx("run", path, "--store", store).returncode == 0
    before = results(store)
    wrong = {"latest": {"task": "time-latest", "languages": ["eng"]}}
    refused = adapterx("run", recipe(intermediates={"none": None}, targets=wrong, compare=None), "--store", store)
    assert refused.returncode == 2
    assert "no language 'eng' (did you mean 'en'?)" in refused.stdout
    assert "nothing can be run" in refused.stderr
    assert results(store) == before
    partly = adapterx("plan", recipe(targets={**wrong, "good": {"task": "time-latest"}}), "--store", store)
    assert partly.returncode == 1
    assert partly.stdout.index("no language 'eng'") < partly.stdout.index("to train")


def test_a_damaged_adapter_is_made_anew(recipe: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = recipe(transfers=["stack"], seeds=[1])
    assert adapterx("run", path, "--store", store).returncode == 0
    values = [row["value"] for row in results(store)]
    (intermediate,) = store.glob("stages/intermediate/small.lora.en.seed1-*/adapter.safetensors")
    content = bytearray(intermediate.read_bytes())
    content[-1] ^= 1
    intermediate.write_bytes(bytes(content))
    (target,) = store.glob("stages/target/small.lora.en.stack.latest.seed1-*/record.json")
    target.unlink()
    done = adapterx("run", path, "--store", store)
    assert "has changed since it was stored" in done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["value"] for row in results(store)] == values


def test_a_stage_that_had_failed_is_told_of(recipe: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = recipe(intermediates={"none": None}, compare=None, seeds=[1])
    assert adapterx("run", path, "--store", store).returncode == 0
    assert not [one for one in records(store).values() if "after_failure" in one["provenance"]]
    report = store / "runs" / "grid" / "report" / "report.md"
    assert "run again after" not in report.read_text()
    (stage,) = store.glob("stages/target/small.lora.none.latest.seed1-*")
    (stage / "record.json").unlink()
    failure = {"status": "out-of-memory", "message": "the bundle took too much", "when": "2026-01-02T03:04:05+00:00"}
    (stage / "failure.json").write_text(json.dumps(failure))
    assert adapterx("run", path, "--store", store).returncode == 0
    again = records(store)["target small.lora.none.latest.seed1"]
    assert again["provenance"]["after_failure"] == [failure["status"], failure["when"]]
    told = "target small.lora.none.latest.seed1: run again after it had failed (out-of-memory, 2026-01-02)"
    assert told in re.sub(r"[*_`]", "", report.read_text())
