"""Ranks, variances, maps, languages, costs and published numbers, on runs whose truth is made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx.plan.cells import Cell
from adapterx.report import Analysis, analyse, evidence_tables
from adapterx.report.document import document
from adapterx.report.evidence import Evidence
from adapterx.report.exports import report_json, report_markdown
from adapterx.report.maps import Gain, regrets
from adapterx.report.published import corpus, everything
from adapterx.report.scores import Setting
from adapterx.report.statistics import Estimate
from adapterx.store import Store
from tests.report.fake import Fake, write

Ask = Callable[..., tuple[Analysis, Evidence]]
CHANCES = {"none": 0.4, "en": 0.42, "multi": 0.8}


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def made(**changes: object) -> tuple[Analysis, Evidence]:
        def accuracy(cell: Cell, language: str) -> float:
            return CHANCES[cell.intermediate] + (0.15 if language == "en" else 0.0) * (cell.intermediate != "multi")

        given = {"seeds": (1, 2, 3), "items": 200, "backbones": ("small",), "accuracy": accuracy, **changes}
        store = Store(tmp_path / f"{len(list(tmp_path.iterdir()))}")
        analysis = analyse(store, write(store, Fake(**given)))  # type: ignore[arg-type]
        assert analysis.evidence is not None
        return analysis, analysis.evidence

    return made


def test_maps_hold_differences_to_none(ask: Ask) -> None:
    _, found = ask(targets=("choice", "names"))
    entries = {(one.setting.intermediate, one.setting.target): one for one in found.maps.gains}
    assert set(entries) == {(arm, target) for arm in ("en", "multi") for target in ("choice", "names")}
    multi, en = entries["multi", "choice"], entries["en", "choice"]
    assert multi.marked and multi.gain.low > 0.3
    assert not en.marked and en.gain.low < 0.02 < en.gain.high
    assert multi.english is not None and multi.english.value < multi.gain.value  # 0.25 in English, 0.4 elsewhere


def test_choosing_by_other_targets_is_measured(ask: Ask) -> None:
    _, found = ask(targets=("choice", "names"))
    assert [(one.target, one.ranking) for one in found.maps.regrets] == [
        ("choice", ("multi", "en")),
        ("names", ("multi", "en")),
    ]
    assert all(one.regrets == {1: 0.0, 3: 0.0} for one in found.maps.regrets)


def gain(intermediate: str, target: str, value: float, score: float) -> Gain:
    of = Setting("small", "lora", intermediate, "continue", target)
    return Gain(of, "accuracy", Estimate(value, value, value), score, None)


def test_regret_is_what_the_first_k_miss_of_the_best() -> None:
    gains = [gain(*one) for one in (("a", "x", 0.3, 0.5), ("b", "x", 0.1, 0.8), ("c", "x", 0.2, 0.6))]
    gains += [gain(*one) for one in (("a", "y", 0.3, 0.9), ("b", "y", 0.1, 0.9), ("c", "y", 0.2, 0.9))]
    (of_x,) = (one for one in regrets(gains) if one.target == "x")
    assert of_x.ranking == ("a", "c", "b")
    assert of_x.regrets == {1: pytest.approx((0.8 - 0.5) / 0.8), 3: 0.0}
    assert regrets(gains[:3]) == ()  # nothing to choose by


def test_scatter_is_split(ask: Ask) -> None:
    def moved(cell: Cell, language: str) -> float:
        return 0.5 + 0.1 * (cell.seed - 2) + (0.2 if language == "de" else 0.0)

    _, found = ask(accuracy=moved, items=1000, sources=())
    (score,) = (one for one in found.variances if one.what == "score")
    assert score.seed == pytest.approx(0.1, rel=0.15)  # 0.4, 0.5, 0.6
    assert score.language == pytest.approx(0.2 / 3**0.5, rel=0.15)  # of 0.2, 0, 0
    assert score.both is not None and score.both == pytest.approx((0.25 / 3 / 1000) ** 0.5, rel=0.15)
    assert score.item < score.both  # guesses have no items that are hard for all trainings
    _, single = ask(seeds=(1,))
    assert all(one.seed is None and one.both is None for one in single.variances)


def test_languages_stand_in_the_order_of_what_was_read(ask: Ask) -> None:
    analysis, found = ask(languages=("de", "en", "sw", "yo"))
    (strip,) = found.strips
    assert [one.language for one in strip.entries] == ["en", "de", "sw", "yo"]
    assert [one.seen for one in strip.entries] == [True, True, True, False]
    (table,) = (one for one in evidence_tables.tables(analysis) if one.name == "strip-0")
    assert [column.title for column in table.columns if not column.label] == ["en", "de", "sw", "yo‡"]
    assert corpus("modernbert") is None


def test_costs_are_added_up(ask: Ask) -> None:
    _, found = ask(seeds=(1,))
    # An intermediate and a target take 12.25 s each, an evaluation 1.5: three cells, two with an intermediate.
    assert found.cost.seconds == pytest.approx(5 * 12.25 + 3 * 1.5)
    assert found.cost.one_by_one == pytest.approx(found.cost.seconds)
    assert found.cost.peak_memory_bytes == 1.3e9 and found.cost.bytes > 0
    _, shared = ask(seeds=(1,), targets=("choice", "names"))
    assert shared.cost.one_by_one == pytest.approx(shared.cost.seconds + 2 * 12.25)  # two intermediates anew
    front = {one.setting.intermediate: (one.small, one.fast) for one in found.efficiencies}
    assert front == {"none": (False, True), "en": (False, front["en"][1]), "multi": (True, True)}


def test_others_numbers_are_marked_as_theirs(ask: Ask) -> None:
    analysis, found = ask(tasks={"choice": "xnli"})
    assert any(one.model == "XLM-R base" and one.told("xnli") == "76.2" for one in found.published)
    (table,) = (one for one in evidence_tables.tables(analysis) if one.name == "published")
    assert "theirs, not measured here" in table.caption
    assert all(row[-1].text for row in table.rows)
    assert ask()[1].published == ()


def test_every_published_row_has_a_source_and_adds_up() -> None:
    for one in everything():
        assert one.source and (one.scores or one.f1 or one.overall or one.average)
        for task, by_language in one.languages.items():
            assert sum(by_language.values()) / len(by_language) == pytest.approx(one.scores[task], abs=0.06)
    assert everything()[0].told("xquad") == "60.8 / 76.6 (EM / F1)"


def test_the_report_holds_the_evidence(ask: Ask) -> None:
    analysis, _ = ask(targets=("choice", "names"), backbones=("small", "large"))
    laid_out = document(analysis)
    names = [one.name for one in laid_out.evidence]
    assert {"ranks", "variances", "map-0", "map-1", "forgetting", "regret", "strip-0", "grid-cost"} <= set(names)
    assert len(names) == len(set(names))
    content = json.loads(json.dumps(report_json(analysis, laid_out)))["evidence"]
    assert {len(content[key]) > 0 for key in ("ranks", "map", "regret", "variances", "languages")} == {True}
    assert "## Evidence" in report_markdown(laid_out)
