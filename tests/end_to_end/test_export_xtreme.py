"""A run whose targets are XTREME's tasks: what it reports is what the benchmark's evaluator finds in its files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from adapterx.cli import main
from adapterx.tasks.xtreme import TASKS
from tests.support.xtreme import evaluate

OWN = """
adapterx: 1
name: {name}
description: A few made-up items in every language.
format: {format}
{labels}metrics: [{metrics}]
languages: [{languages}]
licence: mine
sources:
  local:
    kind: local
    reader: {reader}
    columns: {columns}
    splits:
      train: {{paths: {name}/train.{suffix}, languages: [en]}}
      dev: {{paths: {name}/dev.{suffix}, languages: [en]}}
      test: {{paths: "{name}/test-{{language}}.{suffix}"}}
"""
FORMATS = {
    "paws-x": {
        "format": "pair-classification",
        "labels": "labels: [different, paraphrase]\n",
        "metrics": "accuracy",
        "reader": "tsv",
        "columns": "{text: 0, text_pair: 1, label: 2}",
        "suffix": "tsv",
    },
    "udpos": {
        "format": "tagging",
        "labels": "labels: [NOUN, SCONJ, VERB]\n",
        "metrics": "span_f1, accuracy",
        "reader": "conll",
        "columns": "{words: 0, tags: 1}",
        "suffix": "tsv",
    },
    "mlqa": {
        "format": "extractive-qa",
        "labels": "",
        "metrics": "mlqa_f1, mlqa_em, mlqa_mean",
        "reader": "squad",
        "columns": "{id: id}",
        "suffix": "json",
    },
}
WORDS = ("cat", "sleeps", "the", "das", "Haus", "北京", "القاهرة", "sings")
TAGS = dict(zip(WORDS, ("NOUN", "VERB", "SCONJ", "SCONJ", "NOUN", "NOUN", "NOUN", "VERB"), strict=True))
LEARNT = "udpos"
"""The task whose training data hold the words of its test data: any encoder learns it, the others may answer alike."""
STEPS = {LEARNT: 40}


def lay_out(root: Path) -> None:
    """Tasks beside the recipe, their data, and the same data's label files for the benchmark."""
    random = np.random.default_rng(1)
    for name, kind in FORMATS.items():
        task = TASKS[name]
        own = OWN.format(name=name, languages=", ".join(f'"{code}"' for code in task.languages), **kind)
        (root / f"{name}.yaml").write_text(own)
        data, labels = root / "data" / name, root / "labels" / task.folder
        data.mkdir(parents=True)
        labels.mkdir(parents=True)
        for split, words in (("train", "one two three four five six"), ("dev", "seven eight nine ten eleven twelve")):
            chosen = WORDS if name == LEARNT else words.split()
            (data / f"{split}.{kind['suffix']}").write_text(items(name, split, random, chosen)[0], encoding="utf-8")
        for code in task.languages:
            content, gold = items(name, code, random, WORDS)
            (data / f"test-{code}.{kind['suffix']}").write_text(content, encoding="utf-8")
            (labels / f"test-{code}.{kind['suffix']}").write_text(gold, encoding="utf-8")


def items(name: str, code: str, random: np.random.Generator, choice: Sequence[str]) -> tuple[str, str]:
    """Our file and the benchmark's."""
    sentences = [[str(word) for word in random.choice(choice, 4)] for _ in range(5)]
    if name == "mlqa":
        asked = [
            {
                "context": " ".join(words),
                "qas": [{"id": f"{code}q{at}", "question": "who", "answers": [{"text": words[0], "answer_start": 0}]}],
            }
            for at, words in enumerate(sentences)
        ]
        content = json.dumps({"data": [{"paragraphs": asked}]})
        return content, json.dumps(json.loads(content)["data"])
    if name == "udpos":
        tags = [[TAGS[word] for word in words] for words in sentences]
        both = [
            "".join(f"{word}\t{tag}\n" for word, tag in zip(*one, strict=True))
            for one in zip(sentences, tags, strict=True)
        ]
        return "\n".join(both), "\n".join("".join(f"{tag}\n" for tag in one) for one in tags)
    answers = random.integers(2, size=len(sentences)).tolist()
    names = ("different", "paraphrase")
    pairs = (
        f"{' '.join(words)}\t{words[0]}\t{names[answer]}\n" for words, answer in zip(sentences, answers, strict=True)
    )
    return "".join(pairs), "".join(f"{answer}\n" for answer in answers)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Path:
    """The directory of a finished run."""
    root = tmp_path_factory.mktemp("xtreme")
    lay_out(root)
    content = {
        "adapterx": 1,
        "name": "xtreme",
        "backbones": {"small": str(checkpoints["small"])},
        "methods": {"lora": {"kind": "lora", "rank": 4}},
        "intermediates": {"none": None},
        "transfers": ["continue"],
        "targets": {f"my-{name}": {"task": name, "train": {"steps": STEPS.get(name, 3)}} for name in FORMATS},
        "train": {"learning_rate": 1e-2, "batch_size": 4, "max_length": 32},
        "evaluate": {"bootstrap": 100},
    }
    (root / "xtreme.yaml").write_text(json.dumps(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAPTERX_DATA", str(root / "data"))
        assert main(["run", str(root / "xtreme.yaml"), "--store", str(root / "store")]) in (0, 1)  # little is learnt
    assert not list(root.rglob("failure*.json"))
    return root


def test_the_benchmarks_evaluator_finds_what_the_report_says(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "submission"
    assert main(["export-xtreme", "xtreme", "--store", str(root / "store"), "--out", str(out)]) == 0
    assert "mlqa: MLQA, 7 of 7 languages, 35 items, from small.lora.none.my-mlqa.seed1" in capsys.readouterr().out
    expected = evaluate(out / "predictions", root / "labels")
    report = root / "store" / "runs" / "xtreme" / "report"
    (row,) = json.loads((report / "report.json").read_text())["xtreme"]
    with (report / "results.csv").open(encoding="utf-8") as file:
        scores = list(csv.DictReader(file))
    done = []
    for name in FORMATS:
        task = TASKS[name]
        values = {
            (one["status"], float(one["value"]), one["language"])
            for one in scores
            if (one["target"], one["metric"]) == (f"my-{name}", task.metric)
        }
        found = pytest.approx(expected[task.folder], abs=1e-3)
        assert 100 * np.mean([value for _, value, _ in values]) == found
        if {status for status, *_ in values} == {"done"}:  # what answers alike everywhere has no part in means
            done.append(name)
            assert 100 * row["tasks"][name]["score"]["value"] == found
    assert LEARNT in done, "the others may answer alike everywhere"
    assert row["overall"] == {"missing": f"{len(done)} of 9 tasks"}


def test_metrics_by_themselves_compute_what_the_run_did(root: Path) -> None:
    pytest.importorskip("evaluate", reason="the extra `evaluate` is not installed")
    from adapterx.tasks.evaluate_metrics import load

    with (root / "store" / "runs" / "xtreme" / "report" / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tables = {
        json.loads(parquet.read_schema(path).metadata[b"task"]): path for path in root.rglob("predictions.parquet")
    }
    assert len(tables) == len(FORMATS)
    for row in rows:
        name = row["target"].removeprefix("my-")
        table = parquet.read_table(tables[name], filters=[("language", "==", row["language"])])
        said, right = (table.column(side).to_pylist() for side in ("prediction", "gold"))
        if name == "udpos":
            names = json.loads(table.schema.metadata[b"labels"])
            said, right = ([[names[label] for label in item] for item in side] for side in (said, right))
        asked = {"language": row["language"], "task": name}
        found = load(row["metric"]).compute(predictions=said, references=right, **asked)
        assert found[row["metric"]] == pytest.approx(float(row["value"]), abs=1e-6)


def test_a_limited_evaluation_is_no_submission(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADAPTERX_DATA", str(root / "data"))
    store = ["--store", str(root / "store")]
    assert main(["run", str(root / "xtreme.yaml"), "name=limited", "evaluate.limit=2", *store]) in (0, 1)
    assert main(["export-xtreme", "limited", *store, "--out", str(tmp_path / "out")]) == 2
    assert "was evaluated on 2 items of each language" in capsys.readouterr().err
    text = (root / "store" / "runs" / "limited" / "report" / "report.md").read_text()
    assert "Not all items were evaluated: of each language a random sample of 2 items." in text
