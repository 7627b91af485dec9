"""A grid over a dataset on the Hub, through the real command line: from the network once, then without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import adapterx, environment
from tests.support.hub import serve
from tests.tasks.hub_tasks import CONVERSION, parquet, task

SOURCE = {
    "dataset": "someone/pairs",
    "config": "{language}",
    "columns": {"text": "a", "text_pair": "b", "label": "label"},
    "splits": {"train": {"split": "train", "languages": ["en"]}, "test": "test"},
}


def rows(language: str, split: str) -> bytes:
    texts = [{"a": f"{split} {n} {language}", "b": f"{n % 3}", "label": n % 2} for n in range(24)]
    return parquet(texts, 10)


@pytest.mark.slow
def test_a_grid_over_a_dataset_on_the_hub(recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(json.dumps(task(SOURCE, parallel=True)), encoding="utf-8")
    path = recipe(
        intermediates={"none": None},
        targets=["mine"],
        transfers=["continue"],
        compare=None,
        seeds=[1],
        train={"learning_rate": 1e-3, "batch_size": 4, "steps": 2},
    )
    store = ("--store", tmp_path / "store")
    with serve(tmp_path / "hub") as hub:
        files = {
            f"{code}/{split}/0000.parquet": rows(code, split) for code in ("en", "de") for split in ("train", "test")
        }
        hub.commit("datasets/someone/pairs", files, CONVERSION)
        known = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0")
        plan = adapterx("plan", path, *store, env=known)
        assert plan.returncode == 0, plan.stdout + plan.stderr
        assert "2 trainings (0 intermediate, 2 target)" in " ".join(plan.stdout.split())
        assert "is not looked at: 'mine' is not downloaded yet" in " ".join(plan.stdout.split())
        run = adapterx("run", path, *store, env=known)
        assert "trained 2 stages, evaluated 2" in run.stdout, run.stdout + run.stderr
        assert {request.path.split("/")[-1] for request in hub.requests if "/api/" not in request.path} == {
            "0000.parquet"
        }
        assert "de/train/0000.parquet" not in hub.fetched()
    again = adapterx("plan", path, *store, env=known)
    assert "Everything is stored" in again.stdout, again.stdout + again.stderr
    assert "not looked at" not in again.stdout
    (tmp_path / "mine.yaml").write_text(json.dumps(task({**SOURCE, "config": "fr"})), encoding="utf-8")
    wrong = adapterx("plan", path, *store, env=known)
    assert wrong.returncode == 2 and "has no config 'fr' (known: de, en)" in " ".join(wrong.stdout.split())
