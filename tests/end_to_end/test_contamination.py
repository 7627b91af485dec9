"""A cold cache hides what a dataset holds; a run looks before it trains, and its report says what was looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import adapterx, environment
from tests.support.hub import serve
from tests.tasks.hub_tasks import CONVERSION, parquet, task

COLUMNS = {"text": "a", "text_pair": "b", "label": "label"}
WORDS = [
    "amber",
    "basil",
    "cedar",
    "dahlia",
    "ebony",
    "fennel",
    "ginger",
    "hazel",
    "iris",
    "juniper",
    "kale",
    "laurel",
    "maple",
    "nettle",
    "olive",
    "poppy",
]


def rows(first: int, count: int) -> list[dict[str, Any]]:
    """Pairs that have no run of words in common."""
    texts = (" ".join(f"{word}{n}" for word in WORDS) for n in range(first, first + count))
    return [{"a": text, "b": f"about {n}", "label": n % 2} for n, text in enumerate(texts)]


def source(dataset: str, **splits: str) -> dict[str, Any]:
    return {"dataset": dataset, "config": "default", "columns": COLUMNS, "splits": splits}


@pytest.mark.slow
def test_a_run_with_a_cold_cache_does_not_train_on_test_items(recipe: Callable[..., Path], tmp_path: Path) -> None:
    described = {
        "benchmark": task(source("someone/benchmark", train="train", test="test"), name="benchmark", languages=["en"]),
        "mirror": task(source("another/mirror", train="train"), name="mirror", languages=["en"]),
        "others": task(source("another/others", train="train"), name="others", languages=["en"]),
    }
    for name, content in described.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps(content))
    path = recipe(
        intermediates={"none": None, "leaky": {"tasks": "mirror"}, "clean": {"tasks": "others"}},
        targets={"benchmark": {"task": "benchmark"}},
        transfers=["continue"],
        compare=None,
        seeds=[1],
        train={"learning_rate": 1e-3, "batch_size": 4, "steps": 2},
    )
    store = ("--store", tmp_path / "store")
    with serve(tmp_path / "hub") as hub:
        known = environment(**hub.environment(tmp_path / "home"), HF_HUB_OFFLINE="0")
        for dataset, files in {
            "someone/benchmark": {"train": rows(0, 40), "test": rows(100, 40)},
            "another/mirror": {"train": [{**one, "a": f"Read this: {one['a']}"} for one in rows(100, 40)]},
            "another/others": {"train": [*rows(500, 39), *rows(100, 1)]},
        }.items():
            hub.commit(
                f"datasets/{dataset}",
                {f"default/{split}/0000.parquet": parquet(found) for split, found in files.items()},
                CONVERSION,
            )
        plan = adapterx("plan", path, *store, env=known)
        assert plan.returncode == 0, plan.stdout + plan.stderr
        assert "is not looked at: 'mirror' is not downloaded yet" in " ".join(plan.stdout.split())
        run = adapterx("run", path, *store, env=known)
    said = " ".join((run.stdout + run.stderr).split())
    assert run.returncode == 1, said
    assert "training on 'mirror' leaks into the test set of 'benchmark': 40 of the 40 test items" in said
    assert not list((tmp_path / "store" / "stages").rglob("*leaky*"))
    written = json.loads((tmp_path / "store" / "runs" / "grid" / "run.json").read_text())
    refused = {cell["cell"]["intermediate"] for cell in written["cells"] if cell["refused"]}
    assert refused == {"leaky", "clean"}, "a single long item of the test set is one too many"


def test_what_was_let_pass_is_in_the_report(recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("".join(f"{one['a']}\t{one['b']}\tyes\n" for one in rows(0, 300)))
    (tmp_path / "test.tsv").write_text("".join(f"{one['a']}\t{one['b']}\tno\n" for one in rows(299, 200)))
    content = task({}, name="mine", languages=["en"])
    content["sources"] = {
        "local": {
            "kind": "local",
            "reader": "tsv",
            "columns": {"text": 0, "text_pair": 1, "label": 2},
            "splits": {"train": {"paths": "train.tsv"}, "test": {"paths": "test.tsv"}},
        }
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(content))
    path = recipe(
        intermediates={"none": None},
        targets={"mine": {"task": "mine"}},
        transfers=["continue"],
        compare=None,
        seeds=[1],
        train={"learning_rate": 1e-3, "batch_size": 4, "steps": 2},
    )
    run = adapterx("run", path, "--store", tmp_path / "store", env=environment(ADAPTERX_DATA=str(tmp_path)))
    assert "Traceback" not in run.stderr
    directory = tmp_path / "store" / "runs" / "grid"
    words = "1 of the 200 test items of 'mine' in en have half of their words, or 13 in a row"
    assert any(words in remark for remark in json.loads((directory / "run.json").read_text())["remarks"])
    for name in ("index.html", "report.md", "report.json"):
        assert "1 of the 200 test items of" in (directory / "report" / name).read_text(), name
