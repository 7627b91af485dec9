"""A whole run of an earlier version, reported."""

from __future__ import annotations

from pathlib import Path

from adapterx import report
from adapterx.report import merge_weights, tuning
from adapterx.results.predictions import NAME, about
from tests.results.earlier import store


def test_a_store_of_an_earlier_version_gives_its_report(tmp_path: Path) -> None:
    kept = store(tmp_path / "store")
    analysis = report.analyse(kept, kept.run_directory("earlier"))
    statuses = [one.status for one in analysis.results.cells]
    assert statuses.count("refused") == 3 and statuses.count("done") == 4
    assert {len(one.scores.languages) for one in analysis.results.cells if one.scores} == {2}
    assert len(analysis.results.curves) == 6 and not analysis.results.curveless
    (merged,) = merge_weights.weighed(analysis.results)
    assert merged.tried > 2 and sum(merged.weights) == 1
    assert len(tuning.tuned(analysis.results)) == 4
    assert report.build(kept, kept.run_directory("earlier")).is_file()


def test_predictions_of_an_earlier_version_say_no_format(tmp_path: Path) -> None:
    paths = sorted((store(tmp_path / "store").root).glob(f"stages/evaluation/*/{NAME}"))
    assert [about(path).format for path in paths] == [None] * 4
