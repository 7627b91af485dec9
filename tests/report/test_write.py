"""A report takes the place of the one before all at once, whoever is killed or writes at the same time."""

from __future__ import annotations

import errno
import importlib
import os
import time
from pathlib import Path

import pytest

from adapterx import report
from adapterx.store import Store
from tests.report import fake

WRITE = importlib.import_module("adapterx.report.write")
FILES = {"index.html", "report.md", "results.csv", "report.json"}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with its report."""
    return rewritten(Store(tmp_path))


def rewritten(store: Store, **changes: object) -> Path:
    directory = fake.write(store, fake.Fake(backbones=("small",), items=5, bootstrap=100, **changes))  # type: ignore[arg-type]
    report.build(store, directory)
    return directory


def names(run_dir: Path) -> set[str]:
    """Of all that is in a run's directory but run.json."""
    return {path.name for path in run_dir.iterdir()} - {"run.json"}


def test_a_report_is_of_the_state_of_its_run(run_dir: Path) -> None:
    assert report.mark_outdated(run_dir) is None
    text = (run_dir / "run.json").read_text()
    (run_dir / "run.json").write_text(text.replace("Made-up", "Other"))
    note = report.mark_outdated(run_dir)
    assert note is not None and "earlier state" in note.read_text()
    report.build(Store(run_dir.parent.parent), run_dir)
    assert {path.name for path in (run_dir / "report").iterdir()} == FILES
    (run_dir / "report" / "report.json").write_text("{")
    assert report.mark_outdated(run_dir) is not None, "a report that does not say is not taken for this run's"
    (run_dir / "report" / "index.html").unlink()
    assert report.mark_outdated(run_dir) is None


def test_a_disk_that_fills_leaves_the_report_before(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in (run_dir / "report").iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    for name in ("write_json", "_replace"):
        monkeypatch.setattr(WRITE, name, full)
        with pytest.raises(OSError, match="no room"):
            report.build(Store(run_dir.parent.parent), run_dir)
        monkeypatch.undo()
        assert {path.name: path.read_bytes() for path in (run_dir / "report").iterdir()} == before
        assert names(run_dir) == {"report"}


def test_what_killed_writers_left_is_swept(run_dir: Path) -> None:
    """One was killed with half a report, an hour ago; one between two renames; one is at work."""
    (run_dir / "report").rename(run_dir / ".report-former-1")
    for name, age in ((".report-new-2", 7200), (".report-new-3", 0)):
        (run_dir / name).mkdir()
        os.utime(run_dir / name, (time.time() - age,) * 2)
    WRITE._sweep(run_dir)
    assert names(run_dir) == {"report", ".report-new-3"}
    (run_dir / ".report-former-4").mkdir()
    report.build(Store(run_dir.parent.parent), run_dir)
    assert names(run_dir) == {"report", ".report-new-3"}


def test_two_writers_at_once_leave_the_report_of_one(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other puts its report there between the two renames of this one."""
    rename = Path.rename
    raced: list[Path] = []

    def racing(path: Path, target: Path) -> Path:
        if path.name.startswith(".report-new") and not raced:
            raced.append(path)
            (run_dir / "report").mkdir()
            (run_dir / "report" / "index.html").write_text("the other's")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", racing)
    report.build(Store(run_dir.parent.parent), run_dir)
    assert raced and names(run_dir) == {"report"}
    assert "the other's" not in (run_dir / "report" / "index.html").read_text()
