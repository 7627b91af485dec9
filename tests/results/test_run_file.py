"""run.json, written and read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapterx.plan import build
from adapterx.results import run_file
from adapterx.results.run_file import Run, UnreadableRun
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks
from tests.results.earlier import RUN


@pytest.fixture
def run() -> Run:
    """A run with every sort of cell: without an intermediate, with one, with several, and refused."""
    asked = recipe(
        intermediates={
            "none": None,
            "one": {"tasks": ["units"], "languages": ["en"]},
            "two": {"tasks": ["units"], "languages": ["fi"]},
            "both": {"members": ["one", "two"]},
        },
        transfers={"on": {"kind": "continue"}, "merged": {"kind": "merge"}},
        seeds=[1],
    )
    plan = build(asked, Path("recipes"), FakeBackbones(), FakeTasks())
    return run_file.of_plan(plan, ["seeds=[1]"])


def test_what_is_read_is_what_was_written(run: Run, tmp_path: Path) -> None:
    assert run_file.write(tmp_path, run)
    found = run_file.read(tmp_path)
    assert found.state
    assert replace(found, state="") == run
    assert not run_file.write(tmp_path, found), "the same again"
    assert any(planned.refused for planned in run.cells) and any(planned.members for planned in run.cells)


def test_stages_stand_in_the_order_they_run(run: Run) -> None:
    merged = next(planned for planned in run.cells if planned.members)
    assert merged.intermediate is None and merged.target is not None and merged.evaluation is not None
    assert merged.stages == (*merged.members, merged.target, merged.evaluation)
    assert [ref.label.split(".")[2] for ref in merged.members] == ["one", "two"]
    refused = next(planned for planned in run.cells if planned.refused)
    assert refused.stages == ()


def test_a_run_of_an_earlier_version_is_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    run = run_file.read(RUN)
    assert len(run.cells) == 7 and sum(planned.refused is not None for planned in run.cells) == 3
    run_file.write(tmp_path, run)
    assert (tmp_path / "run.json").read_bytes() == (RUN / "run.json").read_bytes()


def test_sizes_that_earlier_versions_did_not_record_are_none(tmp_path: Path) -> None:
    content: dict[str, Any] = json.loads((RUN / "run.json").read_text())
    del content["backbones"]["small"]["vocabulary"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert run_file.read(tmp_path).backbones["small"].vocabulary is None


def test_a_cell_without_an_evaluation_is_no_runs(tmp_path: Path) -> None:
    content: dict[str, Any] = json.loads((RUN / "run.json").read_text())
    content["cells"][0]["stages"]["evaluation"] = None
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(UnreadableRun, match="a cell has neither stages nor a reason"):
        run_file.read(tmp_path)
