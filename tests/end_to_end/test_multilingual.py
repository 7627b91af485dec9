"""Files of one's own in several languages, in every format, as the training data of one intermediate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx.cli import main
from tests.support.command import adapterx, environment

YAML = """\
adapterx: 1
name: {name}
description: Mine, in two languages.
format: {format}
{more}languages: [en, de]
licence: mine
sources:
  local:
    kind: local
    reader: {reader}
    columns: {columns}
    splits: {{train: {{paths: "{name}-{{language}}.txt"}}}}
"""
QUESTION = {"id": "1", "question": "who sleeps?", "answers": [{"text": "cat", "answer_start": 4}]}
PASSAGE = {"context": "the cat sleeps", "qas": [QUESTION]}
SCORED = "metrics: accuracy\n"
TASKS = {
    "pairs": ("pair-classification", f'labels: ["no", "yes"]\n{SCORED}', "tsv", "{text: 0, text_pair: 1, label: 2}",
              "the cat\ta cat\tyes\na dog\tthe cat\tno\n"),
    "choices": ("multiple-choice", f"labels: [one, two]\n{SCORED}", "jsonl", "{context: c, choices: [a, b], label: l}",
                '{"c": "the", "a": "cat", "b": "dog", "l": 1}\n'),
    "words": ("tagging", f"labels: [D, N]\n{SCORED}", "conll", "{words: 0, tags: 1}", "the\tD\ncat\tN\n\na\tD\n"),
    "sentences": ("tagging", f"label_file: tags.txt\n{SCORED}", "tsv", "{words: 0, tags: 1}", "the cat\tD N\n"),
    "lists": ("tagging", f"label_file: tags.txt\n{SCORED}", "jsonl", "{words: w, tags: t}",
              '{"w": ["the", "cat"], "t": ["D", 1]}\n'),
    "questions": ("extractive-qa", "metrics: squad_f1\n", "squad", "{id: id}",
                  json.dumps({"data": [{"title": "", "paragraphs": [PASSAGE]}]})),
    "texts": ("masked-lm", "", "text", "{text: text}", "the cat sleeps\n\na dog\treads\n"),
}  # fmt: skip
"""Format, labels and metrics, reader, columns, and what stands in the files of both languages."""


@pytest.fixture
def own(recipe: Callable[..., Path], tmp_path: Path) -> Path:
    """A recipe whose intermediate learns all of them."""
    (tmp_path / "tags.txt").write_text("D\nN\n")
    for name, (format_, more, reader, columns, text) in TASKS.items():
        content = YAML.format(name=name, format=format_, more=more, reader=reader, columns=columns)
        (tmp_path / f"{name}.yaml").write_text(content)
        for language in ("en", "de"):
            (tmp_path / f"{name}-{language}.txt").write_text(text.replace("cat", "cat" if language == "en" else "kat"))
    small = json.loads(recipe().read_text())["backbones"]["small"]
    return recipe(
        backbones={"small": small},
        intermediates={"multi": {"tasks": [*TASKS], "languages": ["en", "de"], "sampling": "uniform"}},
        transfers=["continue"],
        targets={"latest": {"task": "time-latest", "languages": ["en"]}},
        seeds=[1],
        train={"learning_rate": 1e-3, "batch_size": 14, "steps": 2, "limit": 12, "max_length": 32},
        compare=None,
    )


def test_files_of_every_format_are_trained_on_in_several_languages(own: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run = adapterx("run", own, "--store", store, env=environment(ADAPTERX_DATA=str(tmp_path)))
    assert run.returncode in (0, 1), run.stderr  # two steps teach nothing
    assert "trained 2 stages, evaluated 1" in run.stdout, run.stdout + run.stderr
    (stage,) = (store / "stages" / "intermediate").iterdir()
    record = json.loads((stage / "record.json").read_text())
    learnt = {task: part["languages"] for task, part in record["settings"]["tasks"].items()}
    assert learnt == {name: ["de", "en"] for name in TASKS}
    assert len(list((store / "cache" / "tokens").iterdir())) >= 2 * len(TASKS), "each language's own texts"


@pytest.mark.parametrize("name", TASKS)
def test_a_language_without_its_file_is_named(
    own: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    (tmp_path / f"{name}-de.txt").unlink()
    assert main(["plan", str(own), "--store", str(tmp_path / "store")]) == 2
    assert f"{name}-de.txt: no such file" in "".join(capsys.readouterr().out.split("\n"))
