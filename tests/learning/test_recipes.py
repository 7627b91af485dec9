"""The shipped recipes, run whole: every method and transfer learns its task. Minutes of work, so not every day."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests.support.command import adapterx, environment

pytestmark = pytest.mark.slow

MARGIN = 0.12
"""Above the majority label and above a linear probe; an interval of 60 to 100 items is about as wide, either way."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def run(name: str, store: Path) -> dict[tuple[str, str, str], list[dict[str, float]]]:
    """(method, intermediate, transfer) → accuracy in English of each seed, with its interval; every cell is done."""
    env = environment(OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "2"))
    done = adapterx("run", f"recipes/{name}.yaml", "--store", store, env=env, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    report = store / "runs" / name / "report"
    assert {cell["status"] for cell in json.loads((report / "report.json").read_text())["cells"]} == {"done"}
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    with (report / "results.csv").open() as file:
        for row in csv.DictReader(file):
            if row["language"] == "en" and row["metric"] == "accuracy":
                place = (row["method"], row["intermediate"], row["transfer"])
                found.setdefault(place, []).append({key: float(row[key]) for key in ("value", "high")})
    return found


def mean(ways: list[dict[str, float]]) -> float:
    return sum(one["value"] for one in ways) / len(ways)


@pytest.mark.timeout(1600)
def test_every_method_learns(store: Path) -> None:
    found = {method: mean(ways) for (method, _, _), ways in run("methods", store).items()}
    probe = found.pop("head")
    assert len(found) == 8
    assert all(score > max(1 / 3, probe) + MARGIN for score in found.values()), (probe, found)


@pytest.mark.timeout(1600)
def test_every_transfer_learns_and_fusion_is_as_good_as_its_better_part(store: Path) -> None:
    found = run("fusion", store)
    means = {place: mean(ways) for place, ways in found.items()}
    assert all(score > 1 / 3 + 0.08 + MARGIN for score in means.values()), means
    better = max(means["pfeiffer", part, "continue"] for part in ("order", "latest"))
    high = sum(one["high"] for one in found["pfeiffer", "both", "fuse"]) / 2
    assert high >= better, means


@pytest.mark.timeout(1600)
def test_a_task_adapter_learns_above_language_adapters(store: Path) -> None:
    """MAD-X: language adapters learn to guess what is masked, and the task is learnt above them."""
    found = run("madx", store)
    assert all(mean(ways) > 1 / 3 + MARGIN for ways in found.values()), found
    for log in (store / "stages" / "intermediate").glob("*.languages.*/training.jsonl"):
        losses = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
        assert sum(losses[-5:]) < 0.6 * sum(losses[:5]), log
