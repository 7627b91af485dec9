"""A task of the kind `regression`, with data that can be learnt, through every command: plan, run, export, predict."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.support.command import Done, adapterx, environment

TASK: dict[str, Any] = {
    "adapterx": 1,
    "description": "How many of its words are cats?",
    "format": "regression",
    "metrics": ["pearson", "spearman"],
    "languages": ["en", "de"],
    "licence": "CC0-1.0",
    "sources": {
        "local": {
            "kind": "local",
            "reader": "tsv",
            "columns": {"id": 0, "text": 1, "text_pair": 2, "score": 3},
            "splits": {split: {"paths": f"{split}-{{language}}.tsv"} for split in ("train", "test")},
        }
    },
}
RECIPE: dict[str, Any] = {
    "adapterx": 1,
    "name": "cats",
    "backbones": {"small": "embedded/e5-small@2"},
    "methods": {"lora": {"kind": "lora", "rank": 8}, "seq": {"kind": "bottleneck", "reduction_factor": 4}},
    "intermediates": {"none": None, "dogs": {"tasks": "dogs", "languages": ["en", "de"]}},
    "transfers": ["stack"],
    "targets": {"cats": {"task": "cats"}},
    "seeds": [1],
    "train": {"learning_rate": 3e-3, "batch_size": 16, "steps": 60, "max_length": 32},
    "evaluate": {"bootstrap": 200},
}
WORDS = {"en": ("cat", "dog", "bird"), "de": ("Katze", "Hund", "Vogel")}
PARENT = "small.lora.none.cats.seed1"


def rows(language: str, counted: int, split: str, items: int) -> list[list[str]]:
    """Two texts of six words in all; the score is three times the number of the words counted, less five."""
    random = np.random.default_rng([split == "train", counted])
    made = []
    for number in range(items):
        # The share of cats is drawn first, so that scores are spread evenly.
        share = random.random()
        places = np.where(random.random(6) < share, counted, random.choice([at for at in range(3) if at != counted], 6))
        words = [WORDS[language][place] for place in places]
        score = 3 * int((places == counted).sum()) - 5
        made.append([f"{split}-{number}", f"{number}: " + " ".join(words[:3]), " ".join(words[3:]), f"{score}"])
    return made


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two tasks, their files and a recipe."""
    root = tmp_path_factory.mktemp("regression")
    for counted, name in enumerate(("cats", "dogs")):
        (root / name).mkdir()
        paths = {split: {"paths": f"{name}/{split}-{{language}}.tsv"} for split in ("train", "test")}
        local = {**TASK["sources"]["local"], "splits": paths}
        (root / f"{name}.yaml").write_text(json.dumps({**TASK, "name": name, "sources": {"local": local}}))
        for split, items in (("train", 300), ("test", 60)):
            for language in WORDS:
                lines = ["\t".join(row) for row in rows(language, counted, split, items)]
                (root / name / f"{split}-{language}.tsv").write_text("\n".join(lines) + "\n")
    (root / "r.yaml").write_text(json.dumps(RECIPE))
    return root


def run(here: Path, *arguments: str | Path) -> Done:
    return adapterx(*arguments, cwd=here, env=environment(ADAPTERX_DATA=str(here)))


@pytest.fixture(scope="module")
def store(here: Path) -> Path:
    """The store of the recipe's run."""
    done = run(here, "run", "r.yaml", "--store", "store")
    assert done.returncode == 0, done.stdout + done.stderr
    return here / "store"


def table(store: Path) -> dict[tuple[str, str, str, str], float]:
    with (store / "runs" / "cats" / "report" / "results.csv").open() as file:
        found = list(csv.DictReader(file))
    return {(row["method"], row["intermediate"], row["metric"], row["language"]): float(row["value"]) for row in found}


def predictions(store: Path, cell: str, language: str) -> list[dict[str, Any]]:
    content = json.loads((store / "runs" / "cats" / "run.json").read_text())
    (stage,) = [one["stages"]["evaluation"] for one in content["cells"] if one["stages"]["evaluation"]["slug"] == cell]
    (path,) = (store / "stages" / "evaluation").glob(f"*-{stage['id'][:12]}/predictions.parquet")
    return [row for row in parquet.read_table(path).to_pylist() if row["language"] == language]


def test_the_plan_knows_it_and_tasks_shows_it(here: Path) -> None:
    plan = run(here, "plan", "r.yaml", "--store", "new")
    assert plan.returncode == 0 and "4 cells → 6 trainings" in plan.stdout, plan.stdout + plan.stderr
    shown = run(here, "tasks", "show", "cats", "--language", "de", "--split", "test", "-n", "1")
    assert shown.returncode == 0 and "«<s>» 0: Katze Katze" in shown.stdout, shown.stdout + shown.stderr


@pytest.mark.slow
def test_every_cell_learns_and_is_reported(store: Path) -> None:
    scores = table(store)
    assert len(scores) == 2 * 2 * 2 * 2
    for (_, _, _, language), value in scores.items():
        assert value > (0.7 if language == "en" else 0.2), scores
    report = (store / "runs" / "cats" / "report" / "report.md").read_text()
    assert "pearson" in report and "times 100" in report
    assert "learnt nothing" not in report
    stored = predictions(store, PARENT, "en")
    gold, said = ([row[name] for row in stored] for name in ("gold", "prediction"))
    assert scores["lora", "none", "pearson", "en"] == pytest.approx(np.corrcoef(gold, said)[0, 1], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "layout"),
    [
        (PARENT, "peft"),
        (PARENT, "adapterhub"),
        ("small.lora.dogs.stack.cats.seed1", "peft"),
        ("small.seq.dogs.stack.cats.seed1", "adapterhub"),
    ],
)
def test_what_leaves_answers_as_in_the_run(here: Path, store: Path, tmp_path: Path, cell: str, layout: str) -> None:
    out = tmp_path / "out"
    done = run(here, "export", cell, "--run", "cats", "--format", layout, "--out", out, "--store", store)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = predictions(store, cell, "de")
    items = [{"id": row[0], "text": row[1], "text_pair": row[2]} for row in rows("de", 0, "test", 60)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items))
    done = run(here, "predict", out, tmp_path / "items.jsonl", "--task", "cats", "--language", "de")
    assert done.returncode == 0, done.stdout + done.stderr
    answers = {one["id"]: one["score"] for one in map(json.loads, done.stdout.splitlines())}
    assert answers == pytest.approx({row["id"]: row["prediction"] for row in stored}, abs=1e-4)


@pytest.mark.slow
@pytest.mark.slow
def test_the_reference_lane_scores_alike(here: Path, store: Path) -> None:
    pytest.importorskip("peft")
    small = {**RECIPE, "name": "reference", "lane": "reference", "intermediates": {"none": None}}
    small["methods"] = {"lora": RECIPE["methods"]["lora"]}
    del small["transfers"]
    (here / "reference.yaml").write_text(json.dumps(small))
    done = run(here, "run", "reference.yaml", "--store", "reference")
    assert done.returncode == 0, done.stdout + done.stderr
    with (here / "reference" / "runs" / "reference" / "report" / "results.csv").open() as file:
        found = {(row["metric"], row["language"]): float(row["value"]) for row in csv.DictReader(file)}
    fused = table(store)
    for (metric, language), value in found.items():
        assert value == pytest.approx(fused["lora", "none", metric, language], abs=0.02)
