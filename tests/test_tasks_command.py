"""`adapterx tasks`, through the real command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adapterx import places
from adapterx.cli import main
from adapterx.tasks.catalog import names
from tests.backbones.checkpoints import save

OWN = """\
adapterx: 1
name: mine
description: …
format: tagging
labels: [O, B-X]
metrics: span_f1
languages: [en]
licence: CC0-1.0
sources:
  local: {kind: local, reader: conll, columns: {words: 0, tags: 1}, splits: {test: {paths: mine.txt}}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["tasks", *arguments]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


def test_the_list_has_every_task_with_sizes_where_they_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, code=0).splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert set(names()) <= set(rows)
    assert rows["time-order"][1:7] == ["pair-classification", "24", "2,400", "96", "180", "embedded"]
    assert rows["xnli"][1:8] == ["pair-classification", "15", "?", "?", "?", "local", "(no"]
    assert rows["cldr-text"][3:6] == ["4,000", "–", "–"]


def test_tasks_of_ones_own_are_listed_first_and_marked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.yaml").write_text(OWN)
    (here / "recipe.yaml").write_text("adapterx: 1\nname: r\n")
    (here / "wrong.yaml").write_text(OWN.replace("format: tagging", "format: taging"))
    lines = told(capsys).splitlines()
    assert lines[1].split()[:4] == ["mine", "*", "tagging", "en"]
    assert any("wrong.yaml:4:9: format: 'taging' is not one of" in line for line in lines)
    assert "* of your own, in this directory." in lines
    assert not any(line.startswith("recipe") for line in lines)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_list_fits_any_terminal(width: int, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COLUMNS", str(width))
    lines = told(capsys).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert set(names()) <= {line.split()[0] for line in lines if line.strip()}


def test_the_list_is_light() -> None:
    import subprocess
    import sys

    code = "import sys; from adapterx.cli import main; main(['tasks']); print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"


def test_examples_are_shown_as_they_are_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = str(save(here / "backbone"))
    (here / "mine.yaml").write_text(OWN)
    (here / "mine.txt").write_text("ab\tO\ncd\tB-X\n\nab\tO\n")
    text = told(capsys, "show", "mine", "--backbone", backbone, "-n", "1")
    assert "mine · tagging · en · test (local) · 2 examples · labels: O, B-X" in text
    assert "/O" in text and "/B-X" in text and "test-0" in text and "test-1" not in text
    text = told(capsys, "show", "time-latest", "--language", "de", "--split", "dev", "--backbone", backbone, "-n", "2")
    assert text.count("→ «<s>»") == 2 and text.count("«<s>»") == 8
    text = told(capsys, "show", "time-order", "--backbone", backbone, "-n", "1")
    assert "</s></s>" in text and "«<s>»" in text


def test_what_is_left_out_is_counted_and_an_empty_file_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = str(save(here / "backbone"))
    (here / "mine.yaml").write_text(OWN.replace("kind: local,", "kind: local, missing: drop,"))
    (here / "mine.txt").write_text("ab\tO\ncd\tB-X\n\nab\t-\n")
    text = told(capsys, "show", "mine", "--backbone", backbone, "-n", "5")
    assert "· 1 examples" in text and "1 left out for a missing value" in text and "test-1" not in text
    (here / "mine.txt").write_text("")
    text = told(capsys, "show", "mine", "--backbone", backbone, code=2)
    assert "has no train or dev or test data in 'en': there is nothing in" in text and "mine.txt" in text


def test_a_query_is_shown_with_what_it_is_to_find(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "tatoeba").mkdir()
    (here / "tatoeba" / "tatoeba.deu-eng.eng").write_text("yes\nno\n")
    (here / "tatoeba" / "tatoeba.deu-eng.deu").write_text("ja\nnein\n")
    lines = [line.split() for line in told(capsys, "show", "tatoeba", "--language", "de", "-n", "1").splitlines()]
    assert ["0"] in lines and ["→", "0"] in lines and ["→", "1"] not in lines
    assert [line[:2] for line in lines if line[-1:] == ["tokens)"]] == [["<s>", "yes</s>"], ["<s>", "ja</s>"]]


def test_answers_are_shown_where_they_stand(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = "ab cd ef gh ij kl mn op qr st uv wx"
    answers = [{"text": "cd ef", "answer_start": 3}, {"text": "cd", "answer_start": 3}]
    questions = [
        {"id": "first", "question": "zz", "answers": answers, "is_impossible": False},
        {"id": "second", "question": "yy", "answers": [], "is_impossible": True, "plausible_answers": answers},
    ]
    (here / "squad").mkdir()
    for name in ("train", "dev"):
        content = {"data": [{"title": "", "paragraphs": [{"context": context, "qas": questions}]}]}
        (here / "squad" / f"{name}-v2.0.json").write_text(json.dumps(content), encoding="utf-8")
    show = ("show", "squad-v2", "--backbone", str(save(here / "backbone")), "--max-length", "24")
    text = told(capsys, *show, "--split", "train")
    assert "squad-v2 · extractive-qa · en · train (local) · 2 examples" in text
    with_answer, without = text[text.index("first  ") :].split("second  ")
    assert with_answer.startswith("first  cd ef | cd\n") and without.startswith("no answer\n")
    windows = with_answer.splitlines()[1:-1]
    assert len(windows) > 1, "the passage does not fit one"
    held = ["".join(re.findall("«(.+?)»", window)).replace("▁", "") for window in windows]
    assert held == ["cdef", *["<s>"] * (len(windows) - 1)]
    assert set(re.findall("«(.+?)»", without)) == {"<s>"}
    assert "no test data" not in told(capsys, *show, "--split", "test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "xnlii"], "no task 'xnlii' in the catalog"),
        (["show", "time-order", "--language", "xx"], "the task 'time-order' has no language 'xx'"),
        (["show", "time-order", "--source", "hub"], "the task 'time-order' has no source 'hub' (known: embedded)"),
        (["show", "cldr-text", "--split", "test"], "the task 'cldr-text' (embedded) has no test data in 'en'"),
        (["show", "xnli"], "no such file"),
    ],
)
def test_mistakes_are_told(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in told(capsys, *arguments, code=2)
