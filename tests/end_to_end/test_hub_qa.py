"""The catalog's questions on the Hub, through the real command line: what may be learnt for XQuAD and what may not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.command import adapterx, environment
from tests.support.hub import serve
from tests.tasks.hub_tasks import CONVERSION, parquet, task

FIELDS = {field: field for field in ("id", "question", "context", "answers")}


def rows(split: str, language: str = "en") -> bytes:
    """Ten passages with a question each."""
    made = []
    for number in range(10):
        context = f"In {language} the {split} passage {number} says who it was: Ada and nobody else."
        answers = {"text": ["Ada"], "answer_start": [context.index("Ada")]}
        name = f"{split}-of-squad-number-{number}"
        made.append({"id": name, "question": f"Who in {language}?", "context": context, "answers": answers})
    return parquet(made)


def own(name: str, dataset: str, config: str, split: str) -> dict[str, Any]:
    source = {"dataset": dataset, "config": config, "columns": FIELDS, "splits": {"train": split}}
    made = task(source, name=name, format="extractive-qa", metrics="squad_f1", languages=["de"])
    del made["labels"]
    return made


def test_a_plan_tells_what_leaks_into_xquad(recipe: Callable[..., Path], tmp_path: Path) -> None:
    mine = {
        "squad-dev": ("rajpurkar/squad", "plain_text", "validation"),
        "xquad-german": ("google/xquad", "xquad.de", "validation"),
    }
    for name, place in mine.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps(own(name, *place)), encoding="utf-8")
    path = recipe(
        intermediates={"squad": {"tasks": "squad", "source": "hub"}}
        | {name: {"tasks": name, "languages": ["de"]} for name in mine},
        targets={"xquad": {"task": "xquad", "source": "hub", "train_task": "squad", "languages": ["en", "th"]}},
        transfers=["continue"],
        compare=None,
        seeds=[1],
    )
    files = {
        "rajpurkar/squad": {f"plain_text/{split}/0000.parquet": rows(split) for split in ("train", "validation")},
        "google/xquad": {f"xquad.{code}/validation/0000.parquet": rows("dev", code) for code in ("en", "de", "th")},
    }
    with serve(tmp_path / "hub") as hub:
        for dataset, content in files.items():
            hub.commit(f"datasets/{dataset}", content, CONVERSION)
        known = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0")
        plan = adapterx("plan", path, "--store", tmp_path / "store", env=known)
    said = " ".join(plan.stdout.split())
    assert "6 cells, 4 refused" in said, plan.stdout + plan.stderr
    for name, held in (("squad-dev", "squad's test"), ("xquad-german", "xquad's test")):
        assert (
            f"training on '{name}' leaks into the test set of 'xquad': both hold items of {held} split (the same files"
            " on the Hub)"
        ) in said
    assert "target training: squad → xquad" in said
