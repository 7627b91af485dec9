"""A file sorted by label through the real command: a sample of both labels, and first items that are told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import parquet

from adapterx.cli import main

TASK = {
    "adapterx": 1,
    "name": "sorted",
    "description": "d",
    "format": "pair-classification",
    "labels": ["no", "yes"],
    "metrics": "accuracy",
    "languages": ["en", "de"],
    "parallel": True,
    "licence": "l",
    "sources": {
        "files": {
            "kind": "local",
            "reader": "tsv",
            "columns": {"id": 0, "text": 1, "label": 2},
            "splits": {split: {"paths": split + "-{language}.tsv"} for split in ("train", "test")},
        }
    },
}


def rows(split: str, order: int) -> str:
    lines = [f"{split}-{n}\t{split} text {n}\t{'no' if n < 40 else 'yes'}\n" for n in range(80)]
    return "".join(lines[::order])


@pytest.fixture
def ran(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[str, dict[str, list[tuple[str, list[int]]]]]]:
    """Runs with a limit and a way to sample: what was printed, and ids and gold labels by language."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    (tmp_path / "sorted.yaml").write_text(json.dumps(TASK))
    for split in ("train", "test"):
        for language, order in (("en", 1), ("de", -1)):
            (tmp_path / f"{split}-{language}.tsv").write_text(rows(split, order))

    def run(sample: str) -> tuple[str, dict[str, list[tuple[str, list[int]]]]]:
        path = recipe(
            backbones={"small": json.loads(recipe().read_text())["backbones"]["small"]},
            intermediates=None,
            transfers=None,
            targets={"sorted": {"task": "sorted"}},
            seeds=[1],
            train={"learning_rate": 1e-3, "batch_size": 4, "steps": 2, "limit": 20, "sample": sample},
            evaluate={"limit": 20, "sample": sample, "bootstrap": 100},
            compare=None,
        )
        assert main(["run", str(path), "--store", str(tmp_path / sample)]) in (0, 1)
        (found,) = (tmp_path / sample / "stages" / "evaluation").glob("*/predictions.parquet")
        kept: dict[str, list[tuple[str, list[int]]]] = {}
        for row in parquet.read_table(found).to_pylist():
            kept.setdefault(row["language"], []).append((row["id"], row["gold"]))
        return " ".join("".join(capsys.readouterr()).split()), kept

    return run


def test_a_sample_has_both_labels_and_the_same_items_in_both_languages(
    ran: Callable[[str], tuple[str, dict[str, list[tuple[str, list[int]]]]]], tmp_path: Path
) -> None:
    printed, kept = ran("random")
    assert sorted(kept["en"]) == sorted(kept["de"]) and len(kept["en"]) == 20
    assert {label for _, (label,) in kept["en"]} == {0, 1}
    assert "have the label" not in printed
    (record,) = (tmp_path / "random" / "stages" / "target").glob("*/record.json")
    result = json.loads(record.read_text())["result"]
    assert 0.5 < result["prior_loss"] < 0.7 and "remarks" not in result


def test_first_items_with_one_label_are_told(
    ran: Callable[[str], tuple[str, dict[str, list[tuple[str, list[int]]]]]], tmp_path: Path
) -> None:
    printed, kept = ran("first")
    assert [id for id, _ in kept["en"]] == [f"test-{n}" for n in range(20)]
    training = "sorted: all 20 training items in en have the label 'no'"
    assert training in printed
    assert "sorted: all 20 test items in en have the label 'no'" in printed
    report = tmp_path / "first" / "runs" / "grid" / "report"
    assert training in report.joinpath("report.md").read_text().replace("*", "")
    with report.joinpath("results.csv").open() as file:
        assert {row["constant"] for row in csv.DictReader(file)} == {"false"}
