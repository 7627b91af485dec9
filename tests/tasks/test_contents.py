"""What one reading of a split tells, in this process and in others."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx import places
from adapterx.tasks import contents, data
from adapterx.tasks.contents import Contents
from adapterx.tasks.sources.errors import DataError

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
    monkeypatch.setattr(contents, "_may_fork", lambda: True)
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
