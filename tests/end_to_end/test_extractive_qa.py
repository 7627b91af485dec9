"""Questions about passages through the real command line: trained, scored, reported, exported and answered."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from adapterx.cli import main
from tests.end_to_end.test_local_files import DATA
from tests.support.command import adapterx, environment

OWN = """
adapterx: 1
name: qa
description: Who does what in a made-up house.
format: extractive-qa
metrics: [squad_f1, squad_em]
tokens: 40
languages: [en, de]
unanswerable: true
parallel: true
licence: mine
sources:
  local:
    kind: local
    reader: squad
    columns: {id: id}
    splits:
      train: {paths: train.json, languages: [en]}
      dev: {paths: dev.json, languages: [en]}
      test: {paths: "test-{language}.json"}
"""
WHO = ("the cat", "a dog", "an old man", "the maid")
WHAT = ("sleeps", "cooks", "sings", "reads")
FIELDS = ("id", "question", "context")


def house(number: int) -> dict[str, Any]:
    """A paragraph with two questions, one of them without an answer."""
    doing = {WHAT[(number + place) % 4]: WHO[(place * number) % 4] for place in range(3)}
    context = ". ".join(f"{who} {what} in room {number}" for what, who in doing.items())
    what, who = next(iter(doing.items()))
    known = {"text": who, "answer_start": context.index(who)}
    (other,) = set(WHAT) - set(doing)
    return {
        "context": context,
        "qas": [
            {"id": f"{number}-a", "question": f"who {what}", "answers": [known]},
            {"id": f"{number}-b", "question": f"who {other}", "answers": [], "is_impossible": True},
        ],
    }


def data(directory: Path) -> Path:
    directory.mkdir()
    for name, numbers in {"train": range(12), "dev": range(12, 15), "test-en": range(20, 26)}.items():
        content = {"data": [{"title": name, "paragraphs": [house(number) for number in numbers]}]}
        (directory / f"{name}.json").write_text(json.dumps(content))
    (directory / "test-de.json").write_text((directory / "test-en.json").read_text())
    return directory


def predictions(store: Path) -> list[dict[str, Any]]:
    (path,) = store.rglob("predictions.parquet")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def scored(store: Path) -> list[dict[str, str]]:
    with (store / "runs" / "grid" / "report" / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_task_of_ones_own_is_learnt_reported_exported_and_answered(
    recipe: Callable[..., Path],
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "qa.yaml").write_text(OWN)
    monkeypatch.setenv("ADAPTERX_DATA", str(data(tmp_path / "data")))
    path = recipe(
        backbones={"small": str(checkpoints["small"])},
        methods={"seq": {"kind": "bottleneck", "reduction_factor": 4}},
        intermediates={"none": None},
        targets={"qa": {"task": "qa", "languages": ["en", "de"]}},
        train={
            "batch_size": 4, "steps": 8, "max_length": 32,
            "prune": {"learning_rates": [1e-3, 1e-2], "rungs": [0.5]},
            "early_stopping": {"every": 4, "patience": 2},
        },
        seeds=[1],
        compare=None,
        transfers=None,
    )  # fmt: skip
    store = tmp_path / "store"
    assert main(["run", str(path), "--store", str(store)]) in (0, 1)
    rows = predictions(store)
    assert [row["gold"] for row in rows if row["id"] == "20-b"] == [[], []]
    assert {row["metric"] for row in scored(store)} == {"squad_f1", "squad_em"}
    assert "SQuAD F1" in (store / "runs" / "grid" / "report" / "index.html").read_text()
    asked = [{"context": house(n)["context"], **question} for n in range(20, 26) for question in house(n)["qas"]]
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({key: one[key] for key in FIELDS}) + "\n" for one in asked))
    exported = ["export", rows[0]["cell"], "--format", "adapterhub", "--out", str(tmp_path / "out")]
    assert main([*exported, "--store", str(store)]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(tmp_path / "out"), "--task", "qa", "--language", "de", str(items)]) == 0
    answers = {one["id"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    for row in rows:
        if row["language"] == "de":
            assert answers[row["id"]]["answer"] == row["prediction"]
            assert list(answers[row["id"]]["scores"].values()) == pytest.approx(row["logits"], abs=1e-4)


@pytest.mark.skipif(not (DATA / "squad").is_dir(), reason=f"no benchmark files in {DATA}")
@pytest.mark.slow
def test_squad_is_scored_on_xquad(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe(
        backbones={"one": "embedded/e5-small@1"},
        methods={"lora": {"kind": "lora"}},
        intermediates={"none": None},
        targets={"xquad": {"task": "xquad", "train_task": "squad", "languages": ["en", "th"]}},
        train={"learning_rate": 1e-3, "batch_size": 2, "steps": 2, "limit": 24, "max_length": 384},
        evaluate={"limit": 10, "bootstrap": 100},
        seeds=[1],
        compare=None,
        transfers=None,
    )
    run = adapterx("run", path, "--store", tmp_path / "store", env=environment(ADAPTERX_DATA=str(DATA)))
    assert run.returncode in (0, 1) and "Traceback" not in run.stderr, run.stdout + run.stderr
    assert "trained 1 stages, evaluated 1" in run.stdout, run.stdout + run.stderr
    rows = predictions(tmp_path / "store")
    assert len(rows) == 20 and {row["language"] for row in rows} == {"en", "th"}
    ids = [[row["id"] for row in rows if row["language"] == language] for language in ("en", "th")]
    assert ids[0] == ids[1], "items pair across languages"
    assert all(row["gold"] and row["prediction"] == row["prediction"].strip() for row in rows)
    found = {(row["language"], row["metric"]) for row in scored(tmp_path / "store")}
    assert found == {(lang, f"squad_{metric}") for lang in ("en", "th") for metric in ("f1", "em", "mean")}
