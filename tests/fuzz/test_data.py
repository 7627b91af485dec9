"""Every reader of data with broken files: a message that names the file, and nothing else."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.files import NEVER, PERHAPS, VALUES, Break, mutations, rewrite
from tests.fuzz.outcome import command, sampled

SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "the cat sat on the mat",
                    "qas": [{"id": "q1", "question": "who sat", "answers": [{"text": "the cat", "answer_start": 0}]}],
                }
            ],
        }
    ],
}
ROWS = [{"a": f"the cat {n}", "b": "a häuser", "c": ["one", "two"], "y": str(n % 2)} for n in range(6)]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]


@dataclass(frozen=True)
class Reader:
    """A task whose test data one reader reads, and the file that is broken."""

    format: str
    source: dict[str, Any]
    files: dict[str, str]
    """Good content by name; the first one is broken."""
    labels: tuple[str, ...] = ("0", "1")
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def broken(self) -> str:
        return next(iter(self.files))

    def write(self, where: Path) -> Path:
        """Task and data; the file that is to be broken."""
        scored = {"labels": self.labels, "metrics": ["accuracy"], **self.more}
        task = {
            "adapterx": 1,
            "name": "own",
            "description": "d",
            "format": self.format,
            "languages": ["en"],
            "licence": "none",
            "sources": {"files": self.source},
            **{key: value for key, value in scored.items() if value is not None},
        }
        (where / "own.yaml").write_text(json.dumps(task))
        for name, text in self.files.items():
            content = text.encode()
            (where / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return where / self.broken


def local(reader: str, columns: dict[str, Any], file: str, **more: Any) -> dict[str, Any]:
    beside: dict[str, Any] = {key: more.pop(key) for key in ("labels", "aligned") if key in more}
    files = {"paths": file, **beside}
    return {"kind": "local", "reader": reader, "columns": columns, "splits": {"test": files}, **more}


def searched(queries: str, **more: Any) -> dict[str, Any]:
    sides = {"queries": {"paths": queries, "id": 0, "text": 1}, "candidates": {"paths": "c.tsv", "id": 0, "text": 1}}
    return {"kind": "search", "splits": {"test": {**sides, **more}}}


PAIR = {"text": 0, "text_pair": 1, "label": 2}
TSV = "".join(f"{row['a']}\t{row['b']}\t{row['y']}\n" for row in ROWS)
SIDE = "".join(f"{n}\tthe cat {n} ä\n" for n in range(6))
RANKED: dict[str, Any] = {"labels": None, "metrics": ["retrieval_accuracy"]}
READERS = {
    "tsv": Reader("pair-classification", local("tsv", PAIR, "d.tsv"), {"d.tsv": TSV}),
    "tsv with a header": Reader(
        "pair-classification",
        local("tsv", {"text": "a", "label": "y"}, "d.tsv", header=True),
        {"d.tsv": "a\tb\ty\n" + TSV},
    ),
    "csv": Reader(
        "pair-classification",
        local("csv", {"text": "a", "label": "y"}, "d.csv"),
        {"d.csv": "a,b,y\n" + "".join(f'"{row["a"]}, so\n""x""",{row["b"]},{row["y"]}\n' for row in ROWS)},
    ),
    "packed csv": Reader(
        "pair-classification", local("csv", {"text": "a", "label": "y"}, "p.csv.gz"), {"p.csv.gz": "a,y\nthe cat,0\n"}
    ),
    "jsonl": Reader(
        "multiple-choice",
        local("jsonl", {"context": "a", "choices": ["a", "b"], "label": "y"}, "d.jsonl"),
        {"d.jsonl": "\n".join(LINES) + "\n"},
    ),
    "conll": Reader(
        "tagging",
        local("conll", {"words": 0, "tags": 1}, "d.conll"),
        {"d.conll": "the\tO\ncat\tB-X\n\nä\tO\nsat\tI-X\n\n"},
        ("O", "B-X", "I-X"),
    ),
    "squad": Reader(
        "extractive-qa",
        local("squad", {}, "d.json"),
        {"d.json": json.dumps(SQUAD)},
        more={"labels": None, "metrics": ["squad_f1"]},
    ),
    "text": Reader(
        "masked-lm",
        {"kind": "local", "reader": "text", "columns": {"text": "text"}, "splits": {"train": {"paths": "d.txt"}}},
        {"d.txt": "the cat sat\nhäuser\n" * 4},
        more={"labels": None, "metrics": None},
    ),
    "scores": Reader(
        "regression",
        local("tsv", {"text": 0, "score": 1}, "d.tsv"),
        {"d.tsv": "the cat\t1\nthe dog\t-2.5\nä\t3e1\n"},
        more={"labels": None, "metrics": ["pearson"]},
    ),
    "labels beside rows": Reader(
        "pair-classification",
        local("tsv", {"text": 0}, "d.tsv", labels="l.txt"),
        {"l.txt": "".join(f"{row['y']}\n" for row in ROWS), "d.tsv": TSV},
    ),
    "a file of label names": Reader(
        "pair-classification",
        local("tsv", PAIR, "d.tsv"),
        {"names.txt": "0\n1\n", "d.tsv": TSV},
        more={"labels": None, "label_file": "names.txt"},
    ),
    "aligned": Reader(
        "pair-classification",
        local("jsonl", {"text": "a", "label": "y"}, "d.jsonl", aligned={"path": "e.jsonl", "columns": "y"}),
        {"e.jsonl": "\n".join(LINES) + "\n", "d.jsonl": "\n".join(LINES) + "\n"},
    ),
    "queries": Reader("retrieval", searched("q.tsv"), {"q.tsv": SIDE, "c.tsv": SIDE}, more=RANKED),
    "packed queries": Reader("retrieval", searched("q.tsv.gz"), {"q.tsv.gz": SIDE, "c.tsv": SIDE}, more=RANKED),
    "what is relevant": Reader(
        "retrieval",
        searched("q.tsv", relevant="r.tsv"),
        {"r.tsv": "".join(f"{n}\t{n}\n" for n in range(6)), "q.tsv": SIDE, "c.tsv": SIDE},
        more=RANKED,
    ),
}


@pytest.fixture
def show(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], Any]:
    """Reads all of the task's data in this directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    return lambda: command(capsys, "tasks", "show", "own", "-n", "1000", "--backbone", checkpoint)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_is_broken_is_whole_otherwise(reader: Reader, tmp_path: Path, show: Callable[[], Any]) -> None:
    reader.write(tmp_path)
    outcome = show()
    outcome.clean()
    assert outcome.code == 0, outcome.said


def _cases(breaks: dict[str, Break]) -> tuple[list[Any], list[str]]:
    cases = [(reader, make) for reader in READERS.values() for make in breaks.values()]
    return cases, [f"{reader}: {what}" for reader in READERS for what in breaks]


@pytest.mark.parametrize(("reader", "make"), sampled(*_cases(NEVER), everyday=5))
def test_no_file_of_text(reader: Reader, make: Break, tmp_path: Path, show: Callable[[], Any]) -> None:
    make(reader.write(tmp_path))
    show().refuses(reader.broken)


@pytest.mark.parametrize(("reader", "make"), sampled(*_cases(PERHAPS), everyday=6))
def test_another_content(reader: Reader, make: Break, tmp_path: Path, show: Callable[[], Any]) -> None:
    make(reader.write(tmp_path))
    show().answers_or_refuses(reader.broken)


def _values() -> tuple[list[Any], list[str]]:
    """Every field of a row of JSON, and of SQuAD's, with other values."""
    found = []
    for name in ("jsonl", "aligned"):
        reader = READERS[name]
        for what, row in mutations(ROWS[3]):
            found.append((f"{name} {what}", reader, "\n".join([*LINES[:3], json.dumps(row), *LINES[4:]]) + "\n"))
    found += [(f"squad {what}", READERS["squad"], json.dumps(content)) for what, content in mutations(SQUAD)]
    return [(reader, text) for _, reader, text in found], [name for name, _, _ in found]


@pytest.mark.parametrize(("reader", "text"), sampled(*_values(), everyday=6))
def test_a_value_of_another_type(reader: Reader, text: str, tmp_path: Path, show: Callable[[], Any]) -> None:
    reader.write(tmp_path).write_text(text, encoding="utf-8")
    show().answers_or_refuses(reader.broken)


ODD = {
    "a cell more": "a\tb\t0\tc",
    "a cell less": "a\tb",
    "one cell": "a",
    "an unknown label": "a\tb\tperhaps",
    "an empty label": "a\tb\t",
    "an empty text": "\t\t0",
    "spaces": "  \t\u00a0\t0",
    "an open quote": '"a\tb\t0',
    "zero width": "\u200b\t\u200b\t1",
    "a zero": "a\x00\tb\t0",
    "an escape sequence": "\x1b[31ma\tb\t\x1b[0m",
    "tabs alone": "\t\t\t\t",
    "text and text": "a b\tc d\t0 1",
}
SEPARATED = ("tsv", "csv", "conll", "queries", "what is relevant", "labels beside rows")


@pytest.mark.parametrize(
    ("reader", "line"),
    sampled(
        [(READERS[name], line) for name in SEPARATED for line in ODD.values()],
        [f"{name}: {what}" for name in SEPARATED for what in ODD],
        everyday=5,
    ),
)
def test_an_odd_line(reader: Reader, line: str, tmp_path: Path, show: Callable[[], Any]) -> None:
    """In the middle of good ones."""
    path = reader.write(tmp_path)
    lines = path.read_text().split("\n")
    lines.insert(3, line.replace("\t", ",") if path.suffix == ".csv" else line)
    path.write_text("\n".join(lines))
    show().answers_or_refuses(reader.broken)


NO_TEXT = [what for what, value in VALUES.items() if not isinstance(value, str)]


@pytest.mark.parametrize("key", ["a", "b"])
@pytest.mark.parametrize("what", [pytest.param(what, marks=pytest.mark.slow) for what in NO_TEXT])
def test_what_is_no_text_is_no_choice(key: str, what: str, tmp_path: Path, show: Callable[[], Any]) -> None:
    """Of these readers of JSON a text is asked for; the message names the row."""
    path = READERS["jsonl"].write(tmp_path)
    rows = [json.dumps({**row, key: VALUES[what]}) if at == 3 else json.dumps(row) for at, row in enumerate(ROWS)]
    path.write_text("\n".join(rows) + "\n")
    outcome = show()
    outcome.clean()
    if not isinstance(VALUES[what], int | float) or isinstance(VALUES[what], bool):  # a number may be a text's
        outcome.refuses("d.jsonl:4", "d.jsonl: row 4", "d.jsonl, row 4")


def test_rewriting_leaves_the_rest(tmp_path: Path) -> None:
    """The mutations are what they say: one part differs, the rest is there."""
    path = tmp_path / "x.json"
    path.write_text("{}")
    found = dict(mutations({"a": [1, {"b": 2}]}))
    rewrite(path, found["a.1.b: null"])
    assert json.loads(path.read_text()) == {"a": [1, {"b": None}]}
    assert found["a.0: left out"] == {"a": [{"b": 2}]} and found["all: a number"] == 5
