"""Retrieval through the real command line: the backbone as it is, what an intermediate learnt, and a trained target."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from safetensors.torch import load_file

from adapterx.backbones.packed import PackedEncoder
from adapterx.cli import main
from adapterx.engine.prefix import PrefixCache
from tests.support.forge import forge

NAMES = [f"{first}{second} {third}" for first in "bdfgk" for second in ("ar", "el", "on") for third in ("one", "two")]
"""In letters that the small tokenizer knows: names that it reads alike would tie, and the last bit would decide."""
TASKS: dict[str, dict[str, Any]] = {
    "names": {
        "metrics": ["retrieval_accuracy", "mean_average_precision", "rank_distance"],
        "languages": ["de", "sw"],
        "splits": {
            "test": {
                "queries": {"paths": "names.en", "text": 0},
                "candidates": {"paths": "names.{language}", "text": 0},
            }
        },
    },
    "pairs": {
        "metrics": ["pair_f1"],
        "languages": ["de"],
        "splits": {
            split: {
                "queries": {"paths": f"{split}.de", "id": 0, "text": 1},
                "candidates": {"paths": f"{split}.en", "id": 0, "text": 1},
                "relevant": f"{split}.gold",
            }
            for split in ("dev", "test")
        },
    },
}


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks beside the recipe: every name again with another end, and half of the names again as they are."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    for code, end in (("en", ""), ("de", "!"), ("sw", " ?")):
        (tmp_path / f"names.{code}").write_text("".join(f"{name}{end}\n" for name in NAMES))
    for split, half in (("dev", NAMES[:16]), ("test", NAMES[16:])):
        (tmp_path / f"{split}.de").write_text("".join(f"de-{n}\t{name}\n" for n, name in enumerate(half)))
        others = [*half[: len(half) // 2], "something else", "zzz"]
        (tmp_path / f"{split}.en").write_text("".join(f"en-{n}\t{name}\n" for n, name in enumerate(others)))
        (tmp_path / f"{split}.gold").write_text("".join(f"de-{n}\ten-{n}\n" for n in range(len(half) // 2)))
    for name, task in TASKS.items():
        source = {"kind": "search", "splits": task.pop("splits") if "splits" in task else {}}
        whole = {"adapterx": 1, "name": name, "description": "d", "format": "retrieval", "licence": "l", **task}
        (tmp_path / f"{name}.yaml").write_text(json.dumps({**whole, "sources": {"files": source}}))
        task["splits"] = source["splits"]


def sections(**more: object) -> dict[str, object]:
    return {
        "targets": {
            "names": {"task": "names", "retrieval": {"layer": 2, "special_tokens": False}},
            "pairs": {"task": "pairs", "retrieval": {"pooling": "cls"}},
            "after": {"task": "names", "train_task": "time-order", "languages": "sw"},
        },
        "seeds": [1],
        "compare": None,
        "evaluate": {"bootstrap": 200},
        **more,
    }


def results(directory: Path) -> dict[tuple[str, ...], float]:
    """Scores by cell, metric and language."""
    with (directory / "runs" / "grid" / "report" / "results.csv").open() as file:
        return {
            tuple(row[key] for key in ("backbone", "intermediate", "transfer", "target", "metric", "language")): float(
                row["value"]
            )
            for row in csv.DictReader(file)
            if row["value"] and row["language"]
        }


@pytest.mark.usefixtures("tasks")
def test_what_is_searched_needs_no_training(
    recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(**sections())
    main(["plan", str(path), "--store", str(tmp_path / "store")])
    planned = " ".join(capsys.readouterr().out.split())
    assert "nothing is trained for the target 'names', so the transfer 'stack' has nothing" in planned
    assert main(["run", str(path), "--store", str(tmp_path / "store")]) == 1, "the stacked cells are refused"
    found = results(tmp_path / "store")
    for backbone in ("small", "other"):
        bare = found[backbone, "none", "none", "names", "retrieval_accuracy", "de"]
        assert bare > 0.1, "another last token moves the mean of a random encoder less than another name does"
        assert found[backbone, "none", "none", "pairs", "pair_f1", "de"] > 0.7
        assert (backbone, "en", "continue", "after", "retrieval_accuracy", "sw") in found
        record = json.loads(
            next((tmp_path / "store").glob(f"stages/evaluation/{backbone}*none.pairs*/record.json")).read_text()
        )
        assert 0.5 < record["result"]["thresholds"]["de"] < 5
    tables = [
        parquet.read_table(one)
        for one in (tmp_path / "store").glob("stages/evaluation/*en.continue.pairs*/predictions.parquet")
    ]
    assert len(tables) == 2, "one per backbone"
    for table in tables:
        golds, mined = (table.column(name).to_pylist() for name in ("gold", "prediction"))
        known = {id for gold in golds for id in gold} | {f"en-{n}" for n in range(len(golds))}
        assert len(golds) == len(NAMES) - 16 and set(mined) <= {"", *known}
    found_in_the_page(tmp_path / "store" / "runs" / "grid" / "report" / "index.html")
    assert main(["run", str(path), "--store", str(tmp_path / "store")]) == 1
    assert "nothing to train" in capsys.readouterr().out
    cell, run = "small.lora.en.continue.after", str(tmp_path / "store" / "runs" / "grid")
    assert main(["export", cell, "--run", run, "--format", "peft", "--out", str(tmp_path / "out")]) != 0
    assert "evaluated by retrieval, which has no head" in " ".join(capsys.readouterr().err.split())


def found_in_the_page(path: Path) -> None:
    """Queries and what they found are told in their own words."""
    (details,) = re.findall(r'<script type="application/json" id="details">(.*?)</script>', path.read_text(), re.DOTALL)
    data = json.loads(details)
    for target, code, end in (("names", "de", "!"), ("pairs", "de", "")):
        of = data["targets"][target]
        assert of["sought"] and not of["without"]
        shown = [item for cell in data["cells"] if cell["target"] == target for item in cell["items"].get(code, [])]
        assert {right for *_, right in shown} == {0, 1} or target == "pairs"
        for id, gold, answer, right in shown:
            (query,) = of["texts"][code][id]
            assert query in NAMES
            texts = [of["texts"][code][name][0].removesuffix(end) for name in (gold, answer) if name]
            assert not texts or not right or texts == [query] * 2
            assert all(text in (*NAMES, "something else", "zzz") for text in texts)


@pytest.mark.usefixtures("tasks")
def test_the_reference_lane_finds_the_same(recipe: Callable[..., Path], tmp_path: Path) -> None:
    found = {}
    for lane in ("fused", "reference"):
        path = recipe(
            **sections(lane=lane, transfers=["continue"], intermediates={"none": None, "en": {"tasks": "time-order"}})
        )
        main(["run", str(path), "--store", str(tmp_path / lane)])
        found[lane] = results(tmp_path / lane)
    assert found["fused"] == pytest.approx(found["reference"])
    assert len(found["fused"]) > 20


@pytest.mark.usefixtures("tasks")
def test_each_language_is_searched_with_its_own_adapter(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    store, codes = tmp_path / "store", ["de", "sw"]
    path = recipe(
        **sections(
            backbones={"small": str(checkpoints["small"])},
            intermediates={"own": {"tasks": "time-order", "languages": codes, "per_language": True}},
            transfers=["stack"],
            targets={"names": {"task": "names", "train_task": "time-order", "train_languages": "de"}},
        )
    )

    def nearest() -> dict[str, list[float]]:
        assert main(["run", str(path), "--store", str(store)]) == 0
        (file,) = (store / "stages" / "evaluation").glob("*/predictions.parquet")
        rows = parquet.read_table(file).to_pylist()
        return {code: [row["logits"] for row in rows if row["language"] == code] for code in codes}

    before = nearest()
    (own,) = (store / "stages" / "intermediate").glob("small.lora.own.sw.seed1-*/adapter.safetensors")
    forge(own, {name: tensor + 0.5 for name, tensor in load_file(own).items()})
    shutil.rmtree(store / "stages" / "evaluation")
    after = nearest()
    assert after["de"] == before["de"] and after["sw"] != before["sw"]


@pytest.mark.usefixtures("tasks")
def test_targets_that_differ_in_what_is_read_of_a_text_read_it_once(
    recipe: Callable[..., Path], checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids and results are those of each target by itself; one pass serves all, and nothing is kept for nobody."""
    asked = {
        "low": {"layer": 1, "pooling": "cls"},
        "high": {"layer": 2, "special_tokens": False},
        "near": {"layer": 2, "special_tokens": False, "similarity": "margin"},
    }
    targets = {name: {"task": "names", "retrieval": retrieval} for name, retrieval in asked.items()}
    states, passes, kept = PackedEncoder.shared_states, [], []

    def counted(*args: Any, **more: Any) -> object:
        passes.append(args)
        return states(*args, **more)

    def run(name: str, **some: object) -> dict[str, list[dict[str, Any]]]:
        passes.clear()
        settings = {"backbones": {"small": str(checkpoints["small"])}, "intermediates": {"none": None}}
        assert main(["run", str(recipe(**sections(**settings, targets=some))), "--store", str(tmp_path / name)]) == 0
        files = (tmp_path / name / "stages" / "evaluation").glob("*/predictions.parquet")
        return {path.parent.name: parquet.read_table(path).to_pylist() for path in files}

    monkeypatch.setattr(PackedEncoder, "shared_states", counted)
    monkeypatch.setattr(PrefixCache, "hidden", lambda *_: kept.append(1))
    together = run("together", **targets)
    assert len(passes) == 1 and not kept
    alone: dict[str, list[dict[str, Any]]] = {}
    for name, target in targets.items():
        alone |= run(name, **{name: target})
    assert together.keys() == alone.keys() and len(alone) == 3
    for stage, rows in together.items():
        for ours, theirs in zip(rows, alone[stage], strict=True):
            assert (ours["language"], ours["id"], ours["gold"]) == (theirs["language"], theirs["id"], theirs["gold"])
            assert ours["logits"] == pytest.approx(theirs["logits"], abs=1e-5)


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"targets": {"names": {"task": "names", "retrieval": {"layer": 9}}}},
            "reads layer 9, and the backbone 'small' has",
        ),
        (
            {"targets": {"time": {"task": "time-order", "retrieval": {}}}},
            "has `retrieval` settings, and 'time-order' is",
        ),
        (
            {"targets": {"names": {"task": "names", "train_task": "names", "train_languages": "de"}}},
            "'names' (files) has no train data in 'de'",
        ),
        ({"intermediates": {"names": {"tasks": "names", "languages": "de"}}}, "has no train data in 'de'"),
        ({"targets": {"names": {"task": "names", "retrieval": {"pooling": "max"}}}}, "retrieval.pooling"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    recipe: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: dict[str, object],
    message: str,
) -> None:
    main(["plan", str(recipe(**sections(**changes))), "--store", str(tmp_path / "store")])
    said = capsys.readouterr()
    assert message in " ".join((said.out + said.err).split())
