"""The simulation behind reports/coverage, small enough for every day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import coverage
from tools.coverage import Row, World, measure


@pytest.mark.parametrize(
    "world",
    [
        World(60, 3, 1.0),
        World(60, 2, 2.0, "some parallel", shared=0.9),
        World(60, 2, 1.0, "three sizes", sizes=3),
    ],
    ids=["plain", "partly", "sizes"],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(world: World) -> None:
    """A few grids, so bounds are wide: those of intervals that forget training, or count it twice, are far outside."""
    row = measure(world, 25)
    assert all(share >= 0.87 for share in (row.score, row.gap, row.change))
    assert 0.92 <= row.language <= 0.995
    assert row.claims <= 0.2


def test_intervals_that_leave_training_out_do_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same count sees a fault: with a variance of training of next to nothing, gaps are missed."""
    from adapterx.report import scores
    from adapterx.report.statistics import TrainingVariance

    monkeypatch.setattr(scores, "pooled", lambda samples: TrainingVariance(0.0, 0.0, 0.0))
    row = measure(World(300, 2, 3.0), 10)
    assert row.gap < 0.8


def test_the_command_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = (World(20, 2, 1.0), World(20, 1, 1.0, "one seed"))
    monkeypatch.setattr(coverage, "worlds", lambda: iter(worlds))
    arguments = ["--grids", "2", "--out", str(tmp_path)]
    assert coverage.main([*arguments, "--part", "1/2"]) == 0
    first = json.loads((tmp_path / "coverage.json").read_text())
    assert coverage.main(arguments) == 0
    rows = json.loads((tmp_path / "coverage.json").read_text())
    assert (len(first), len(rows)) == (1, 2)
    assert rows[0] == first[0]
    page = (tmp_path / "coverage.md").read_text()
    assert "## One seed" in page and page.count("| 20 |") == 2


def test_the_committed_table_says_that_intervals_hold() -> None:
    """Of every row: a share of 95 % of a thousand grids is known to ± 0.7 points."""
    path = Path(__file__).parents[2] / "reports" / "coverage" / "coverage.json"
    rows = [Row(World(**row.pop("world")), **row) for row in json.loads(path.read_text())]
    assert [row.world for row in rows] == list(coverage.worlds())
    assert all(row.grids >= 1000 for row in rows)
    for row in (row for row in rows if row.world.seeds > 1):
        assert all(0.93 <= share <= 0.97 for share in (row.score, row.gap, row.change, row.language)), row.world
        assert row.claims <= 0.06, row.world
    assert coverage.markdown(rows).split("\n## ")[1:] == (path.with_suffix(".md").read_text()).split("\n## ")[1:]
