"""What other terminals are told of a run while it works."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from adapterx.engine.train import Progress
from adapterx.executors.onlookers import EVERY, Onlookers
from adapterx.executors.progress import RunProgress
from adapterx.results import progress_file
from adapterx.results.progress_file import RunProgressFile
from adapterx.stopping import Stopped
from tests.executors.test_progress import targets


def found(directory: Path) -> RunProgressFile:
    one = progress_file.read(directory)
    assert one is not None
    return one


def test_a_run_tells_its_share_rate_and_losses(tmp_path: Path) -> None:
    stages = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1, 2])[:2]
    now = [0.0]
    onlookers = Onlookers(tmp_path, 2, clock=lambda: now[0])
    assert (found(tmp_path).state, found(tmp_path).what) == ("running", "starting")
    with RunProgress(Console(file=io.StringIO()), stages, lambda: now[0], onlookers) as progress:
        progress.begin(stages)
        for step in range(1, 51):
            now[0] += 0.5
            progress.steps(Progress(tuple((stage.label, step, 100, 1 / step) for stage in stages)))
        one = found(tmp_path)
        assert one.state == "running" and 0.4 < one.share <= 0.5 and one.left is not None and one.left > 0
        assert one.steps_per_second == pytest.approx(2.0)
        assert [cell.label for cell in one.cells] == [stage.label for stage in stages]
        assert one.cells[0].step >= 50 - 2 * EVERY and one.cells[0].steps == 100
        progress.end(stages)
        assert (found(tmp_path).done, found(tmp_path).cells) == (2, ())
    assert (found(tmp_path).state, found(tmp_path).share, found(tmp_path).seen(0.0)) == ("done", 1.0, "done")


@pytest.mark.parametrize(("error", "state"), [(Stopped(2), "interrupted"), (RuntimeError("no"), "failed")])
def test_how_a_run_ended_is_told(tmp_path: Path, error: BaseException, state: str) -> None:
    stages = targets(intermediates={"none": None}, backbones={"b": "e5@6"}, seeds=[1])[:1]
    progress = RunProgress(Console(file=io.StringIO()), stages, onlookers=Onlookers(tmp_path, 1))
    with pytest.raises(type(error)), progress:
        raise error
    assert found(tmp_path).state == state


def test_a_full_disk_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(directory: Path, of: RunProgressFile) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress_file, "write", full)
    with caplog.at_level(logging.WARNING):
        onlookers = Onlookers(tmp_path, 1)
        onlookers.over("done")
    assert len(caplog.records) == 1 and "No space left" in caplog.text


def test_a_loss_that_is_no_number_is_written_as_none(tmp_path: Path) -> None:
    onlookers = Onlookers(tmp_path, 1)
    onlookers.steps([("a", 3, 10, float("inf"))])
    onlookers.shown(0.1, None, "training a", lasting=True)
    assert found(tmp_path).cells[0].loss is None
