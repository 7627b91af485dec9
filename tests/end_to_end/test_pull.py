"""Adapters of others on the Hub, by the real command line and client: fetched once, then read without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.executors.test_answer import head, written
from tests.executors.test_origin import base
from tests.support.command import adapterx, environment
from tests.support.hub import Hub, serve

LABELS = ("earlier", "same", "later")
NAME = "someone/adapters"
ASK = ("evaluate", f"{NAME}/a/one", "--task", "time-order", "--languages", "de,en", "--limit", "4", "--json")


def committed(hub: Hub, root: Path, backbone: Path) -> tuple[str, set[str]]:
    """A repository with two adapters in folders: its commit, and the files of the first."""
    one = base(written(root / "one", head(LABELS, "time-order")), backbone)
    other = base(written(root / "other", head(LABELS[::-1], "time-order")), backbone)
    files: dict[str, bytes | Path] = {f"a/one/{path.name}": path for path in one.iterdir()}
    files |= {f"other/{path.name}": path for path in other.iterdir()} | {"other/trainer.pt": b"not wanted"}
    return hub.commit(NAME, {**files, "README.md": b"not wanted"}), {path.name for path in one.iterdir()}


@pytest.mark.slow
def test_an_adapter_in_a_folder_of_a_repository(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    with serve(tmp_path / "hub") as hub:
        commit, files = committed(hub, tmp_path, checkpoints["small"])
        online = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0")
        done = adapterx("pull", f"{NAME}@main/a/one", "--out", tmp_path / "mine", env=online, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'mine'}\n"), done.stderr
        assert f"{NAME}@main/a/one is at commit {commit}" in done.stderr
        assert "LoRA (rank 2, alpha 16.0, " in done.stderr
        assert "its head answers pair-classification of earlier, same, later, as in 'time-order'" in done.stderr
        assert {path.name for path in (tmp_path / "mine").iterdir()} == files
        assert {name.partition("/")[0] for name in hub.fetched()} == {"a"}
        wrong = adapterx("pull", f"{NAME}/none", env=online, cwd=tmp_path)
        assert wrong.returncode == 2 and "has no folder 'none'; there are adapters in a/one, other" in wrong.stderr
        hub.fail(429, "/")
        busy = adapterx(*ASK, env=online, cwd=tmp_path)
    assert busy.returncode == 0, busy.stderr
    told = json.loads(busy.stdout)
    assert told["adapters"][0]["commit"] == commit
    assert [line["items"] for line in told["metrics"][0]["lines"][1:]] == [4, 4]
    assert f"{NAME} is read from the local Hub cache, at commit {commit}" in busy.stderr


@pytest.mark.slow
def test_two_adapters_of_a_repository_compared_online_and_offline(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    with serve(tmp_path / "hub") as hub:
        commit, _ = committed(hub, tmp_path, checkpoints["small"])
        online = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0")
        wrong = adapterx("pull", NAME, env=online, cwd=tmp_path)
        assert wrong.returncode == 2 and "there are adapters in its directories other: name one" in wrong.stderr
        both = (*ASK, "--against", f"{NAME}@{commit}/other")
        first = adapterx(*both, env=online, cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        assert not any(name.endswith(".pt") for name in hub.fetched())
    told = json.loads(first.stdout)
    assert [one["commit"] for one in told["adapters"]] == [commit, commit]
    offline = adapterx(*both, env=environment(**{**online, "HF_HUB_OFFLINE": "1"}), cwd=tmp_path)
    assert json.loads(offline.stdout) == told and f"at commit {commit}" in offline.stderr, offline.stderr


@pytest.mark.parametrize("name", ["no/such/thing/../at-all", "./here"])
def test_what_is_no_name(name: str, tmp_path: Path) -> None:
    done = adapterx("pull", name, cwd=tmp_path)
    assert done.returncode == 2 and "nor is that a name such as ID@REVISION/FOLDER" in done.stderr
