"""Every key of a recipe and of a task's file, with values of every wrong type."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from adapterx import cli
from adapterx.plan.contamination import uncompared
from adapterx.plan.looks import unseen
from adapterx.recipe.schema import Recipe
from adapterx.tasks.spec import TaskSpec
from tests.fuzz.outcome import Outcome, command, sampled
from tests.fuzz.schema import WRONG, Key, Walk, yaml
from tests.plan.fakes import FakeBackbones

WORDS = {
    "model": "small",
    "task": "time-latest",
    "tasks": "time-latest",
    "peft_type": "IA3",
    "adapters": "compacter",
    "metrics": ["accuracy"],
    "arm": "en",
    "baseline": "none",
    "paths": "{language}.tsv",
    "dataset": "someone/data",
}
RECIPE: dict[str, Any] = {
    "adapterx": 1,
    "name": "fuzz",
    "backbones": {"small": "small"},
    "methods": {"lora": {"kind": "lora"}},
    "intermediates": {"none": None, "en": {"tasks": "time-latest"}},
    "targets": {"order": {"task": "time-order"}},
}
TASK: dict[str, Any] = {
    "adapterx": 1,
    "name": "own",
    "description": "d",
    "format": "pair-classification",
    "labels": ["no", "yes"],
    "metrics": ["accuracy"],
    "languages": ["en"],
    "licence": "none",
    "sources": {
        "files": {
            "kind": "local",
            "reader": "tsv",
            "columns": {"text": 0, "label": 1},
            "splits": {"test": {"paths": "{language}.tsv"}},
        }
    },
}
PARTS: dict[str, dict[str, Any]] = {"Intermediate": {"tasks": "time-latest"}, "Skip": {"seeds": [1]}}
WALK = Walk(WORDS, PARTS)
RECIPE_KEYS = list(WALK.keys(Recipe, RECIPE))
TASK_KEYS = list(WALK.keys(TaskSpec, TASK))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with a data file; backbones are not looked at, nor data compared."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cli.common, "describer", FakeBackbones)
    monkeypatch.setattr(cli.common, "questions", lambda *_: (uncompared, unseen))
    (tmp_path / "en.tsv").write_text("a text\tno\nanother\tyes\n")
    return tmp_path


def test_the_walk_finds_the_keys_of_every_part() -> None:
    """Also of those behind unions, lists and mappings."""
    found = {str(key) for key in (*RECIPE_KEYS, *TASK_KEYS)}
    assert found >= {
        "seeds",
        "train.intermediate.early_stopping.every",
        "methods.en.Bottleneck.reduction_factor",
        "transfers.en.Merge.density",
        "intermediates.en.method.Lora.rank",
        "skip.0.seeds",
        "sources.en.LocalSource.splits.train.0.fold.keep",
        "sources.en.SearchSource.splits.train.0.queries.paths",
        "sources.en.HubSource.splits.train.0.where",
    }
    inputs = (len(RECIPE_KEYS) + len(TASK_KEYS)) * len(WRONG)
    assert inputs > 3000


@pytest.mark.parametrize(
    ("schema", "base"), [pytest.param(Recipe, RECIPE, id="recipe"), pytest.param(TaskSpec, TASK, id="task")]
)
def test_what_is_broken_is_whole_otherwise(schema: type[BaseModel], base: dict[str, Any]) -> None:
    schema.model_validate(base)


@pytest.mark.parametrize("key", sampled(RECIPE_KEYS, [str(key) for key in RECIPE_KEYS], everyday=10))
def test_a_recipe(key: Key, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = []
    for what, value in WRONG.items():
        document = key.wrap(value)
        (here / "r.yaml").write_text(yaml(document), encoding="utf-8")
        failed += _wrong(command(capsys, "plan", "r.yaml"), key, what, "r.yaml", _refused(Recipe, document))
    assert not failed, "\n".join(failed)
    assert not (here / "adapterx-store").exists()


@pytest.mark.parametrize("key", sampled(TASK_KEYS, [str(key) for key in TASK_KEYS], everyday=6))
def test_a_task(key: Key, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan of a recipe that names the task reads its file."""
    target = {"task": "own", "train_task": "time-latest"}
    (here / "r.yaml").write_text(json.dumps({**RECIPE, "targets": {"own": target}}))
    failed = []
    for what, value in WRONG.items():
        document = key.wrap(value)
        (here / "own.yaml").write_text(yaml(document), encoding="utf-8")
        failed += _wrong(command(capsys, "plan", "r.yaml"), key, what, "own.yaml", _refused(TaskSpec, document))
    assert not failed, "\n".join(failed)
    assert not (here / "adapterx-store").exists()


def _refused(schema: type[BaseModel], document: Any) -> list[Any]:
    """Where the types alone refuse a document; what they let pass may be refused for another reason."""
    try:
        schema.model_validate(document)
    except ValidationError as error:
        return [one["loc"] for one in error.errors()]
    return []


def _wrong(outcome: Outcome, key: Key, what: str, file: str, must: list[Any]) -> list[str]:
    """What is wrong with the answer to a value.

    A document that the types refuse is refused, with line and column, and the key if it is to blame by itself; any
    other leaves no traceback.
    """
    try:
        outcome.clean()
        if must:
            outcome.refuses(f"{file}:")
            assert re.search(rf"{re.escape(file)}:\d+:\d+: ", outcome.said), f"no line: {outcome.told}"
        if any(key.name in location for location in must):
            assert key.name in outcome.said, f"no key: {outcome.told}"
    except AssertionError as error:
        return [f"{key} = {what}: {str(error).splitlines()[0]}"]
    return []
