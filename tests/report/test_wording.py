from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapterx.plan.cells import Cell
from adapterx.report import analyse, wording
from adapterx.report.analysis import Analysis
from adapterx.report.gaps import Change, Overall
from adapterx.report.statistics import Estimate, Missing
from adapterx.store import Store
from tests.report.fake import Fake, write


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    store = Store(tmp_path_factory.mktemp("store"))
    return analyse(store, write(store, Fake()))


def around(value: float, reach: float = 0.01) -> Estimate:
    return Estimate(value, value - reach, value + reach)


def test_numbers() -> None:
    assert (wording.score(0.71349), wording.points(0.0234), wording.points(-0.0234)) == ("71.3", "+2.3", "−2.3")
    assert (wording.points(-0.0001), wording.points(0.0)) == ("0.0", "0.0")
    assert (wording.value(0.71349, "accuracy"), wording.value(1286.64, "rank_distance")) == ("71.3", "1,286.6")
    assert wording.value_interval(around(286, 1), "rank_distance") == "[285.0, 287.0]"
    assert wording.gap(around(0.005)) == "+0.5 [−0.5, +1.5]"
    assert wording.gap(Missing(2, 3, "seed", "1 failed")) == "missing (2 of 3 seeds (1 failed))"


def test_metrics_have_names() -> None:
    names = ("squad_mean", "span_f1", "mean_average_precision_20", "recall_at_10", "ndcg_at_10", "rank_distance")
    words = ("SQuAD mean of F1 and EM", "span F1", "mAP@20", "recall@10", "nDCG@10", "rank distance")
    assert tuple(map(wording.metric_name, names)) == words


@pytest.mark.parametrize(
    ("small", "large", "change", "words"),
    [
        (around(0.08), around(0.03), around(-0.05), "The gap narrows as the backbone grows: it is +8.0 [+7.0, +9.0]"),
        (around(0.08), around(0.005), around(-0.075), "The gap narrows"),
        (around(-0.08), around(-0.03), around(0.05), "The gap narrows"),
        (around(0.03), around(0.08), around(0.05), "The gap widens"),
        (around(0.005), around(0.08), around(0.075), "The gap widens"),
        (around(0.03), around(-0.03), around(-0.06), "The gap changes sign"),
        (around(-0.008), around(0.008), around(0.016), "The gap changes as the backbone grows"),
        (around(0.03), around(0.025), around(-0.005), "Whether the gap changes with size is not resolved by this run"),
        (around(0.03), Missing(2, 3, "seed"), Missing(1, 2, "gap"), "Not answered by this run: it has 1 of 2 gaps"),
    ],
)
def test_the_answer_claims_what_the_intervals_allow(
    analysis: Analysis, small: Estimate, large: Estimate, change: Estimate, words: str
) -> None:
    overall = Overall(1, around(0.01), Change("", "", "", small, large, change))
    found = wording.answer(replace(analysis, overall=overall))
    assert found.startswith(words)
    assert ("includes zero" in found) == ("not resolved" in words)


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (around(0.03), "“multi” gains against “en”: the gap is +3.0 [+2.0, +4.0] points."),
        (around(-0.03), "“multi” loses against “en”"),
        (
            around(0.003),
            "Not resolved by this run: the gap is +0.3 [−0.7, +1.3] points, an interval that includes zero.",
        ),
        (Missing(0, 2, "gap"), "Not answered by this run: it has 0 of 2 gaps that the answer takes."),
    ],
)
def test_without_two_sizes_the_answer_is_the_gap(analysis: Analysis, gap: Estimate, words: str) -> None:
    found = wording.answer(replace(analysis, overall=Overall(1, gap, None), ends=None))
    assert found.startswith(words)


def test_question_and_scope(analysis: Analysis) -> None:
    asked = "What does the intermediate “multi” gain over “en”, and does that gap close as the backbone grows?"
    assert wording.question(analysis) == asked
    assert wording.scope(analysis).startswith(
        "Means over the 2 languages that the target was not trained in; one seed."
    )


def test_the_scope_names_what_is_averaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fake = Fake(seeds=(1, 2), transfers=("continue", "stack"), targets=("choice", "names"), tagging=("names",))
    found = wording.scope(analyse(store, write(store, fake)))
    means, chance = found.split("; 2 seeds.")
    assert means == "Means over the 2 languages that the target was not trained in, 2 targets and 2 transfers"
    # The made-up baseline arm is at the majority in some settings, and the page must say so.
    assert chance == " 6 of 20 settings did not clearly learn the target: compare with the majority row."


def test_a_run_without_comparison_counts_its_cells(tmp_path: Path) -> None:
    store, fake = Store(tmp_path), Fake(compare=False)
    victim: Cell = next(fake.cells())
    found = analyse(store, write(store, Fake(compare=False, statuses={victim: "failed"})))
    assert wording.answer(found) == "5 of 6 cells finished; the recipe names no comparison."
    assert wording.scope(found) == ""
