"""CONTRIBUTING's own example of a data source, in a package of its own."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.support.command import ROOT, Done, environment, process
from tests.support.distribution import install
from tests.tasks.test_source_plugins import python

TASK = """\
adapterx: 1
name: reviews
description: Good or bad?
format: pair-classification
labels: [bad, good]
metrics: accuracy
languages: [en, de]
licence: CC0-1.0
sources:
  base:
    kind: sqlite
    path: reviews.db
    columns: {id: number, text: body, label: verdict}
    values: {label: {"0": bad, "1": good}}
    splits:
      train: SELECT number, body, verdict FROM reviews WHERE lang = :language AND number < 4 ORDER BY number
      test: SELECT number, body, verdict FROM reviews WHERE lang = :language AND number >= 4 ORDER BY number
"""
FINGERPRINT = (
    "from pathlib import Path; from adapterx.tasks import data;"
    "print(data.fingerprint(data.find('reviews', Path()), 'base', {'test': ['de']}))"
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with the task, its database and the package."""
    (tmp_path / "reviews.yaml").write_text(TASK)
    with sqlite3.connect(tmp_path / "reviews.db") as base:
        base.execute("CREATE TABLE reviews (number INTEGER, lang TEXT, body TEXT, verdict INTEGER)")
        rows = [(n, lang, f"{lang} review {n}", n % 2) for lang in ("en", "de") for n in range(6)]
        base.executemany("INSERT INTO reviews VALUES (?, ?, ?, ?)", rows)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "class Sqlite" in block]
    points = {"adapterx.sources": {"sqlite": "contributed:Sqlite"}}
    install(tmp_path / "packages", "contributed", "1.0", {"contributed": code}, points)
    return tmp_path


def show(here: Path) -> Done:
    path = f"{here / 'packages'}:{ROOT}"
    own = environment(PYTHONPATH=path, ADAPTERX_DATA=str(here))
    return process("tasks", "show", "reviews", "--language", "de", "--split", "test", cwd=here, env=own)


@pytest.mark.slow
def test_it_is_read(here: Path) -> None:
    done = show(here)
    assert "reviews · pair-classification · de · test (base) · 2 examples" in done.stdout, done.stdout + done.stderr
    assert "de review 4" in done.stdout and "de review 3" not in done.stdout
    assert re.search(r"^4 +bad *$", done.stdout, re.MULTILINE) and re.search(r"^5 +good *$", done.stdout, re.MULTILINE)


def test_the_content_identifies_it(here: Path) -> None:
    asked = here, here / "packages", FINGERPRINT
    before = python(*asked, ADAPTERX_DATA=str(here))
    for body, same in (
        ("UPDATE reviews SET body = 'x' WHERE lang = 'en'", True),
        ("UPDATE reviews SET body = 'x'", False),
    ):
        with sqlite3.connect(here / "reviews.db") as base:
            base.execute(body)
        assert (python(*asked, ADAPTERX_DATA=str(here)) == before) is same


@pytest.mark.slow
def test_mistakes_are_told(here: Path) -> None:
    task = here / "reviews.yaml"
    for old, new, told in (
        ("text: body", "text: bodies", "row 1 of test in de: has no column 'bodies'"),
        ("verdict FROM", "verdicts FROM", "no such column: verdicts, in the query of test"),
        ("reviews.db", "absent.db", "absent.db: no such file"),
    ):
        task.write_text(TASK.replace(old, new))
        done = show(here)
        assert done.returncode == 2 and told in " ".join(done.stderr.split()), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
