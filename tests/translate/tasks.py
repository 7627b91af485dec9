"""Tasks of every kind that is translated, in English, with a dictionary of their words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.command import Done, adapterx, environment

HEAD = "adapterx: 1\nname: {name}\ndescription: …\nlicence: CC0-1.0\nlanguages: [en]\n"
TASKS = {
    "single": """\
format: pair-classification
labels: [bad, good]
metrics: [accuracy]
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, label: 1}
    splits: {train: {paths: single-train.tsv}, dev: {paths: single-dev.tsv}, test: {paths: single-dev.tsv}}
""",
    "pairs": """\
format: pair-classification
labels: [other, same]
metrics: [accuracy]
same_task: [paws-x]
derived_from: {train: {paws-x: dev}}
sources:
  local:
    kind: local
    reader: jsonl
    missing: keep
    columns: {id: uid, text: a, text_pair: b, label: same}
    splits: {train: {paths: pairs.jsonl}}
""",
    "related": """\
format: regression
metrics: [pearson]
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: 0, text_pair: 1, score: 2}
    splits: {train: {paths: related.tsv}, dev: {paths: related.tsv}}
""",
    "choices": """\
format: multiple-choice
labels: [first, second, third]
metrics: [accuracy]
sources:
  local:
    kind: local
    reader: jsonl
    columns: {context: c, choices: [x, y], label: l}
    splits: {train: {paths: choices.jsonl}}
""",
    "questions": """\
format: extractive-qa
metrics: [squad_f1]
unanswerable: true
tokens: 100
sources:
  local:
    kind: local
    reader: squad
    columns: {id: id}
    splits: {train: {paths: questions.json}, dev: {paths: questions.json}}
""",
    "tags": """\
format: tagging
labels: [O, X]
metrics: [accuracy]
sources:
  local: {kind: local, reader: conll, columns: {words: 0, tags: 1}, splits: {train: {paths: x.txt}}}
""",
    "plain": """\
format: masked-lm
sources:
  local: {kind: local, reader: text, columns: {text: text}, splits: {train: {paths: x.txt}}}
""",
}
WORDS = {
    "the": "der",
    "dog": "Hund",
    "cat": "Katze",
    "barks": "bellt",
    "sleeps": "schläft",
    "loudly": "laut",
    "who": "wer",
    "and": "und",
    "in": "in",
    "garden": "Garten",
}
PASSAGE = "The dog barks loudly. The cat sleeps in the garden 😀, and the dog barks."
QUESTIONS: Sequence[tuple[str, str, Sequence[tuple[str, int]]]] = [
    ("dog-barks-12345678", "Who barks?", [("The dog", 0)]),
    ("second-dog-1234567", "And who barks?", [("the dog", 58)]),
    ("end-of-it-12345678", "Barks?", [("barks", 66)]),
    ("nobody-12345678901", "Who sings?", []),
]


def rows(name: str, lines: Sequence[Any], folder: Path) -> None:
    text = "".join(f"{one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)}\n" for one in lines)
    (folder / name).write_text(text, encoding="utf-8")


def make(folder: Path) -> Path:
    """Write the tasks, their data below `data`, and the dictionary; returns the directory."""
    data = folder / "data"
    data.mkdir(parents=True)
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(HEAD.format(name=name) + text, encoding="utf-8")
    rows(
        "single-train.tsv", [f"the dog barks {number}\t{'good' if number % 2 else 'bad'}" for number in range(6)], data
    )
    rows("single-dev.tsv", [f"the cat sleeps {number}\t{'good' if number % 2 else 'bad'}" for number in range(4)], data)
    pairs = [
        {"uid": "a", "a": "The dog barks", "b": "the cat", "same": "other"},
        {"uid": "b", "a": "The dog barks", "b": "", "same": "same"},
        {"uid": "a", "a": "the garden", "b": "in the garden", "same": 1},
    ]
    rows("pairs.jsonl", pairs, data)
    rows("related.tsv", ["the dog\tthe cat\t1.25", "the garden\tthe garden\t5"], data)
    choices = [
        {"c": "", "x": "the dog", "y": "the cat", "l": "second"},
        {"c": "the garden", "x": "the dog", "y": "in", "l": 0},
    ]
    rows("choices.jsonl", choices, data)
    asked = [
        {"id": id, "question": text, "answers": [{"text": one, "answer_start": start} for one, start in answers]}
        for id, text, answers in QUESTIONS
    ]
    content = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": asked}]}]}
    (data / "questions.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "words.json").write_text(json.dumps({"en-de": WORDS, "de-en": {"Hund": "hound", "laut": "aloud"}}))
    return folder


def command(folder: Path, *arguments: str | Path) -> Done:
    """Run a command in the directory, which has the data."""
    return adapterx(*arguments, cwd=folder, env=environment(ADAPTERX_DATA=str(folder / "data")))


def translate(folder: Path, task: str | Path, *arguments: str | Path, engine: str = "dictionary:words.json") -> Done:
    """Run `adapterx translate` there."""
    return command(folder, "translate", task, "--engine", engine, *arguments)


def read(path: Path) -> list[Any]:
    """The rows of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def well(done: Done) -> Done:
    """A command that ended well."""
    assert done.returncode == 0, done.stderr
    return done


def provenance(folder: Path) -> Any:
    """What a directory says of itself."""
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
