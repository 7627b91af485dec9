"""What one reading of a split tells, in this process and in others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapterx import places
from adapterx.tasks import contents, data
from adapterx.tasks.contents import Contents
from adapterx.tasks.sources.errors import DataError
from tests.support.command import environment

TASK = """\
adapterx: 1
name: mine
description: Rows of a test.
format: pair-classification
labels: [yes, no]
metrics: [accuracy]
languages: [en, de, fr, ru]
licence: CC0-1.0
sources:
  local:
    kind: local
    reader: tsv
    missing: drop
    columns: {text: 0, label: 1}
    splits:
      train: {paths: "train-{language}.tsv"}
      test: {paths: "test-{language}.tsv"}
"""
PARTS = [("mine", "local", code, split) for code in ("en", "de", "fr") for split in ("train", "test")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    (tmp_path / "mine.yaml").write_text(TASK)
    for code in ("en", "de", "fr", "ru"):
        for split in ("train", "test"):
            rows = [f"{code} {split} says the words one two three four five six {n}\tyes" for n in range(9)]
            (tmp_path / f"{split}-{code}.tsv").write_text("\n".join([*rows, "\tno"]) + "\n")
    (tmp_path / "test-ru.tsv").write_text("a text\tperhaps\n")
    (tmp_path / "store").mkdir()
    return tmp_path


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings in processes, whatever there is to read and whatever threads a test runner has."""
    monkeypatch.setattr(contents, "_MUCH", 0)
    monkeypatch.setattr(contents, "may_fork", lambda: True)
    monkeypatch.setattr(contents, "cores", lambda: 2)


def told(found: Contents) -> list[object]:
    """All that is known of the parts."""
    answers: list[object] = []
    for part in PARTS:
        answers += [found.counted(part), found.keys(part).tolist()]
        if part[3] == "test":
            items = found.items(part)
            answers += [items.texts.hashes.tolist(), items.members.tolist(), items.bounds.tolist()]
        else:
            answers += [one.tolist() for one in found.runs(part).parts]
    return answers


def read_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it is known already")

    monkeypatch.setattr(data, "entries", refuse)


def test_one_reading_answers_everything(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Contents(here)
    (part,) = PARTS[:1]
    assert found.counted(part).examples == 9
    assert found.counted(part).left_out == {"a missing value": 1}
    read_no_more(monkeypatch)
    assert len(found.keys(part)) == 9 and sum(map(len, found.runs(part).parts)) > 9


@pytest.mark.usefixtures("forking")
def test_other_processes_find_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, together = told(Contents(here)), Contents(here, here / "store")
    together.ahead(PARTS)
    read_no_more(monkeypatch)
    assert told(together) == alone
    assert told(Contents(here, here / "store")) == alone, "and keep it"


@pytest.mark.usefixtures("forking")
def test_what_cannot_be_read_is_told_when_it_is_asked_for(here: Path) -> None:
    found = Contents(here)
    wrong = ("mine", "local", "ru", "test")
    found.ahead([*PARTS, wrong, ("mine", "local", "ru", "train")])
    assert found.counted(PARTS[0]).examples == 9
    with pytest.raises(DataError, match=r"test-ru\.tsv:1: unknown label 'perhaps'"):
        found.counted(wrong)


def test_little_is_read_here(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "ProcessPoolExecutor", None)
    Contents(here).ahead(PARTS)


RECIPE = """\
adapterx: 1
name: grid
backbones: {small: embedded/e5-small@3}
methods: {lora: {kind: lora, rank: 4}}
intermediates: {none: null}
targets:
  mine: {task: mine, source: local, languages: [en, de, fr]}
seeds: [1]
train: {learning_rate: 1e-3, batch_size: 8, steps: 6}
"""
SPY = """\
import functools, os, sys
from adapterx import cli
from adapterx.tasks import contents

read = contents._read

@functools.wraps(read)
def spied(*part):
    with open("read-by", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return read(*part)

contents._read, contents._MUCH, contents.cores = spied, 0, lambda: 2
code = cli.main(["plan", "grid.yaml", "--store", "store"])
print("planned by", os.getpid())
sys.exit(code)
"""


def test_a_plan_reads_in_processes_of_its_own(here: Path) -> None:
    """As the command runs it, with its thread that listens for signals, and without torch."""
    (here / "mine.yaml").write_text(TASK)
    (here / "grid.yaml").write_text(RECIPE)
    (here / "test-ru.tsv").write_text("a text\tyes\nanother\tno\n")
    command = [sys.executable, "-c", SPY]
    done = subprocess.run(command, cwd=here, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    readers = set((here / "read-by").read_text().split())
    planner = done.stdout.split("planned by ")[1].strip()
    assert len(readers - {planner}) == 2


def test_languages_that_a_task_has_not_got_are_refused_in_the_plans_words(here: Path) -> None:
    """Although they are among what is read beforehand in other processes, which find nothing."""
    (here / "mine.yaml").write_text(TASK.replace("-{language}", "-en"))  # files that any language would find
    (here / "grid.yaml").write_text(RECIPE.replace("[en, de, fr]", "[en, xx]"))
    command = [sys.executable, "-c", SPY]
    done = subprocess.run(command, cwd=here, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, ""), done.stdout + done.stderr
    assert "the task 'mine' has no language 'xx'" in " ".join(done.stdout.split())
