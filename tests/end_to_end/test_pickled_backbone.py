"""Backbones whose weights are pickles through the real command, from a directory and from the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backbones.pickles import pickled, weights_of, write
from tests.support.command import Done, adapterx, environment, process
from tests.support.hub import Hub, serve

MODEL = "someone/pickled"
SAID = "has pickled weights only: reading them without running code, and keeping them as safetensors"


def recipe(path: Path, backbone: object, **sections: Any) -> Path:
    """One small cell."""
    content = {
        "adapterx": 1,
        "name": "pickled",
        "backbones": {"small": backbone},
        "methods": {"lora": {"kind": "lora", "rank": 2}},
        "intermediates": {"none": None},
        "targets": {"order": {"task": "time-order", "languages": ["de"]}},
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 2, "limit": 8, "max_length": 32},
        "evaluate": {"limit": 4, "bootstrap": 100},
        **sections,
    }
    path.write_text(json.dumps(content))
    return path


def test_a_directory_with_a_pickle_is_planned_and_run(tmp_path: Path) -> None:
    directory = pickled(tmp_path / "model")
    path = recipe(tmp_path / "r.yaml", str(directory))
    env = environment(ADAPTERX_CACHE=str(tmp_path / "cache"), ADAPTERX_STORE=str(tmp_path / "store"))
    planned = adapterx("plan", path, env=env)
    assert planned.returncode == 0 and SAID not in planned.stdout + planned.stderr
    assert not (tmp_path / "cache" / "backbones").exists()
    first = adapterx("run", path, env=env)
    assert first.returncode in (0, 1), first.stderr  # two steps teach little
    assert "trained 1 stages, evaluated 1" in first.stdout
    (line,) = (line for line in first.stderr.splitlines() if SAID in line)
    assert line.startswith(f"{directory} ") and str(tmp_path / "cache" / "backbones" / "pickled" / "local-") in line
    again = adapterx("run", path, "seeds=[2]", env=env)
    assert "trained 1 stages, evaluated 1" in again.stdout
    assert SAID not in again.stdout + again.stderr


def test_what_is_no_dictionary_of_tensors_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    directory = pickled(tmp_path / "model")
    write(directory, {"state_dict": weights_of(directory)})
    env = environment(ADAPTERX_CACHE=str(tmp_path / "cache"), ADAPTERX_STORE=str(tmp_path / "store"))
    for command in ("plan", "run"):
        done = adapterx(command, recipe(tmp_path / "r.yaml", str(directory)), env=env)
        assert done.returncode == 2
        assert (
            f"the weights of {directory} cannot be read: pytorch_model.bin holds a dictionary under 'state_dict'"
            in (" ".join((done.stdout + done.stderr).split()))
        )
        assert "Traceback" not in done.stderr and "weights_only" not in done.stderr


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("shards", [0, 3])
def test_a_repository_with_pickles_only(shards: int, hub: Hub, tmp_path: Path) -> None:
    directory = pickled(tmp_path / "model", shards=shards)
    (directory / "modeling.py").write_text("raise SystemExit('nobody runs this')")
    (directory / "training_args.bin").write_bytes(b"not wanted")
    commit = hub.commit_directory(MODEL, directory)
    path = recipe(tmp_path / "r.yaml", MODEL)
    env = {
        **environment(ADAPTERX_CACHE=str(tmp_path / "cache"), ADAPTERX_STORE=str(tmp_path / "store")),
        **hub.environment(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
    }
    weights = {path.name for path in directory.glob("pytorch_model*")}

    def done(*arguments: str | Path) -> Done:
        finished = process(*arguments, env=env)
        assert finished.returncode in (0, 1), finished.stderr
        return finished

    planned = done("plan", path)
    assert SAID not in planned.stdout + planned.stderr
    assert hub.fetched() == {"config.json"}
    first = done("run", path)
    assert hub.fetched() == {"config.json", "tokenizer.json", *weights}
    assert first.stderr.count(SAID) == 1
    made = tmp_path / "cache" / "backbones" / "pickled" / f"hub-someone--pickled@{commit}-c1"
    assert f"{MODEL} {SAID} (" in first.stderr and f" in {made}" in " ".join(first.stderr.split())
    before = {path.name: path.stat().st_mtime_ns for path in made.iterdir()}
    hub.requests.clear()
    for blob in (tmp_path / "home" / "hub").rglob("blobs/*"):
        if blob.stat().st_size > 10_000:  # the pickles are not needed any more
            blob.unlink()
    second = done("run", path, "seeds=[2]")
    assert "trained 1 stages, evaluated 1" in second.stdout
    assert SAID not in second.stdout + second.stderr
    assert not hub.fetched() & weights
    assert before == {path.name: path.stat().st_mtime_ns for path in made.iterdir()}


def test_results_are_those_of_the_same_weights_as_safetensors(tmp_path: Path) -> None:
    """The cells differ in their ids, as their files do, and in nothing else."""
    from safetensors.torch import save_file

    directory = pickled(tmp_path / "model")
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (plain / name).write_bytes((directory / name).read_bytes())
    save_file(weights_of(directory), plain / "model.safetensors", metadata={"format": "pt"})
    env = environment(ADAPTERX_CACHE=str(tmp_path / "cache"))
    adapters = []
    for backbone in (directory, plain):
        store = tmp_path / f"store of {backbone.name}"
        done = adapterx("run", recipe(tmp_path / "r.yaml", str(backbone)), "--store", store, env=env)
        assert done.returncode in (0, 1), done.stderr
        (found,) = store.rglob("adapter.safetensors")
        adapters.append(found.read_bytes())
    assert adapters[0] == adapters[1]
