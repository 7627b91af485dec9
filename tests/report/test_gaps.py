from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapterx.plan.cells import Cell
from adapterx.report import Analysis, analyse
from adapterx.report.statistics import Estimate, Missing
from adapterx.store import Store
from tests.report.fake import Fake, predictions, write


def analysed(tmp_path: Path, fake: Fake) -> Analysis:
    store = Store(tmp_path)
    return analyse(store, write(store, fake))


def accuracy(fake: Fake, cell: Cell, language: str) -> float:
    rows = [row for row in predictions(fake, cell).to_pylist() if row["language"] == language]
    return float(np.mean([row["gold"] == row["prediction"] for row in rows]))


def test_a_gap_is_the_mean_difference_over_seeds_and_languages(tmp_path: Path) -> None:
    fake = Fake(seeds=(1, 2, 3), accuracy=lambda cell, _: 0.8 if cell.intermediate == "multi" else 0.7)
    gap = next(gap for gap in analysed(tmp_path, fake).gaps if gap.arm.backbone == "large")
    cells = {(cell.intermediate, cell.seed): cell for cell in fake.cells() if cell.backbone == "large"}
    by_language = {
        language: np.mean(
            [
                accuracy(fake, cells["multi", seed], language) - accuracy(fake, cells["en", seed], language)
                for seed in (1, 2, 3)
            ]
        )
        for language in fake.languages
    }
    summary = gap.summary
    for language, expected in by_language.items():
        found = summary.languages[language]
        assert isinstance(found, Estimate)
        assert found.value == pytest.approx(expected)
        assert found.low < found.value < found.high
    assert isinstance(summary.mean, Estimate)
    assert isinstance(summary.others, Estimate)
    assert isinstance(summary.sources, Estimate)
    assert summary.mean.value == pytest.approx(np.mean(list(by_language.values())))
    assert summary.others.value == pytest.approx((by_language["de"] + by_language["sw"]) / 2)
    assert summary.sources.value == pytest.approx(by_language["en"])
    assert (gap.seeds, gap.items, gap.missing) == ((1, 2, 3), 50, "")


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
@pytest.mark.parametrize("parallel", [True, False])
def test_identical_arms_have_no_gap_and_no_doubt_about_it(
    tmp_path: Path, seeds: tuple[int, ...], parallel: bool
) -> None:
    analysis = analysed(tmp_path, Fake(seeds=seeds, parallel=parallel, twins=True))
    zero = Estimate(0.0, 0.0, 0.0)
    for gap in analysis.gaps:
        assert set(gap.summary.languages.values()) == {zero}
        assert (gap.summary.mean, gap.summary.others) == (zero, zero)
    assert analysis.overall is not None
    assert [one.change for one in analysis.overall.contrasts] == [zero]


def test_pairing_by_item_is_narrower_than_two_separate_intervals(tmp_path: Path) -> None:
    """Arms that answer mostly alike: their gap is surer than either score."""

    def nearly(cell: Cell, _: str) -> float:
        return 0.72 if cell.intermediate == "multi" else 0.70

    analysis = analysed(tmp_path, Fake(accuracy=nearly, twins=True, items=200))
    gap = analysis.gaps[0].summary.mean
    score = next(score for score in analysis.scores if score.setting == analysis.gaps[0].arm).summary.mean
    assert isinstance(gap, Estimate)
    assert isinstance(score, Estimate)
    assert 0 < gap.high - gap.low < 0.6 * (score.high - score.low)


def test_a_gap_that_shrinks_with_size_is_found(tmp_path: Path) -> None:
    def closing(cell: Cell, _: str) -> float:
        return 0.6 + (cell.intermediate == "multi") * (0.2 if cell.backbone == "small" else 0.02)

    analysis = analysed(tmp_path, Fake(accuracy=closing, items=400, seeds=(1, 2), transfers=("continue", "stack")))
    assert [level.backbones for level in analysis.levels] == [("small",), ("large",)]
    assert analysis.overall is not None
    assert analysis.overall.verdicts == ("down", "down")
    (mean,) = analysis.overall.means
    assert isinstance(mean.change, Estimate)
    assert mean.change.value == pytest.approx(-0.18, abs=0.06)
    assert mean.change.sign == -1
    assert mean.change.value == pytest.approx(np.mean([one.effect.value for one in analysis.overall.contrasts]))  # type: ignore[union-attr]


@pytest.mark.parametrize("status", ["failed", "collapsed", "refused"])
def test_nothing_is_averaged_over_fewer_seeds(tmp_path: Path, status: str) -> None:
    fake = Fake(seeds=(1, 2, 3), transfers=("continue", "stack"))
    victim = next(cell for cell in fake.cells() if cell.intermediate == "multi" and cell.seed == 2)
    analysis = analysed(tmp_path, replace(fake, statuses={victim: status}))
    hit = [score for score in analysis.scores if isinstance(score.summary.mean, Missing)]
    assert [score.setting.intermediate for score in hit] == ["multi"]
    assert str(hit[0].summary.mean) == f"2 of 3 seeds (1 {status})"
    assert dict(hit[0].statuses) == {"done": 2, status: 1}
    gap = next(gap for gap in analysis.gaps if gap.arm == hit[0].setting)
    assert {str(value) for value in gap.summary.languages.values()} == {f"2 of 3 seeds (multi: 1 {status})"}
    assert gap.missing.startswith(f"{victim.label} ")
    assert analysis.overall is not None
    assert analysis.overall.means == ()
    hit_contrast = analysis.overall.contrasts[0]
    assert str(hit_contrast.change) == "1 of 2 gaps"
    assert (hit_contrast.reason, analysis.overall.verdicts[0]) == (gap.missing, "missing")
    scored = {score.result.cell for score in analysis.cells}
    assert (victim in scored) == (status == "collapsed")


def test_a_baseline_without_intermediate_meets_every_transfer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = write(store, Fake(transfers=("continue", "stack")))
    path = run / "run.json"
    path.write_text(path.read_text().replace('"baseline": "en"', '"baseline": "none"'))
    gaps = analyse(store, run).gaps
    assert [(gap.arm.backbone, gap.arm.transfer, gap.baseline.transfer) for gap in gaps] == [
        ("small", "continue", "none"),
        ("small", "stack", "none"),
        ("large", "continue", "none"),
        ("large", "stack", "none"),
    ]


def test_without_compare_or_results_there_are_no_gaps(tmp_path: Path) -> None:
    nothing = analysed(tmp_path / "a", Fake(compare=False))
    assert (nothing.gaps, nothing.levels, nothing.overall) == ((), (), None)
    fake = Fake()
    failed = analysed(tmp_path / "b", replace(fake, statuses=dict.fromkeys(fake.cells(), "failed")))
    assert {str(gap.summary.mean) for gap in failed.gaps} == {"0 of 1 seed (multi: 1 failed; en: 1 failed)"}
    assert {gap.missing.split(" (")[0] for gap in failed.gaps} == {
        f"{size}.lora.multi.continue.choice.seed1 failed" for size in ("small", "large")
    }
    assert failed.cells == ()
