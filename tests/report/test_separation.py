"""Further arms: what a gap is made of, on runs whose truth is made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapterx.plan.cells import Cell
from adapterx.report import Analysis, analyse, answer, arm_tables
from adapterx.report.document import document
from adapterx.report.exports import report_json, report_markdown
from adapterx.report.html import page
from adapterx.report.statistics import Estimate
from adapterx.results.run_file import UnreadableRun, read
from adapterx.store import Store
from tests.report.fake import Fake, write

ARMS = ("none", "en", "back", "translated", "written")
CONTRASTS = {
    "translation": {"arm": "back", "baseline": "en"},
    "languages": {"arm": "translated", "baseline": "back"},
    "writing": {"arm": "written", "baseline": "translated"},
}
TERMS = {"examples": 2000, "steps": 100.0, "batch": 16, "candidates": 1}
GAINS = {"back": -0.1, "translated": 0.15, "written": 0.3}


def analysed(
    directory: Path, compare: Mapping[str, Any], arms: list[dict[str, Any]] | None = None, **fake: Any
) -> Analysis:
    """A run whose arms gain what `GAINS` says over English."""

    def accuracy(cell: Cell, language: str) -> float:
        return 0.5 + GAINS.get(cell.intermediate, 0.0)

    store = Store(directory)
    given = {"backbones": ("small",), "seeds": (1, 2, 3), "items": 400, "accuracy": accuracy, "intermediates": ARMS}
    run = write(store, Fake(**{**given, **fake}))
    content = json.loads((run / "run.json").read_text())
    content["recipe"]["compare"] = dict(compare)
    if arms is not None:
        content |= {"arms": arms, "unequal": ["steps: 100 in en, 200 in back"]}
    (run / "run.json").write_text(json.dumps(content))
    return analyse(store, run)


def asked(arm: str = "translated") -> dict[str, Any]:
    return {"arm": arm, "baseline": "en", "by": "backbones", "contrasts": CONTRASTS}


def test_a_gap_comes_apart_into_parts_that_add_up(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, asked())
    found = analysis.separation
    assert found is not None
    assert found.chain == ("translation", "languages")
    values = {one.name: one.contrasts[0].effect for one in found.parts}
    (gap,) = (one.summary.headline for one in analysis.gaps)
    assert all(isinstance(value, Estimate) for value in (gap, *values.values()))
    assert values["translation"].value + values["languages"].value == pytest.approx(gap.value)  # type: ignore[union-attr]
    said = answer.answer(analysis)
    assert "The gap of “translated” over “en” comes apart into translation (“back” over “en”) " in said
    assert " and languages (“translated” over “back”) +" in said
    assert "writing" not in said


def test_the_longest_way_has_all_three(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, asked("written"))
    assert analysis.separation is not None
    assert analysis.separation.chain == ("translation", "languages", "writing")


@pytest.mark.parametrize(
    "contrasts",
    [
        {"translation": CONTRASTS["translation"]},
        {"translation": CONTRASTS["translation"], "backwards": {"arm": "back", "baseline": "translated"}},
        {"itself": {"arm": "translated", "baseline": "en"}},
    ],
    ids=["ends-early", "leads-back", "one-step"],
)
def test_nothing_comes_apart_where_no_parts_lead_to_the_arm(tmp_path: Path, contrasts: dict[str, Any]) -> None:
    analysis = analysed(tmp_path, {**asked(), "contrasts": contrasts})
    assert analysis.separation is not None and analysis.separation.chain == ()
    assert "comes apart" not in answer.answer(analysis)
    assert len(analysis.separation.parts) == len(contrasts)


def test_without_further_arms_there_is_no_separation(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, {"arm": "translated", "baseline": "en"})
    assert analysis.separation is None
    assert arm_tables.tables(analysis) == []


def test_over_sizes_and_targets_each_part_has_its_mean(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, asked(), backbones=("small", "large"), targets=("choice", "other"), items=100)
    found = analysis.separation
    assert found is not None
    assert [(len(one.contrasts), len(one.means)) for one in found.parts] == [(2, 1)] * 3
    table = arm_tables.tables(analysis)[-1]
    titles = [column.title for column in table.columns]
    assert [title for title in titles if title.startswith("gap")] == ["gap, small", "gap, large"]
    assert "change" in titles and "slope" not in titles
    assert len(table.rows) == 9
    assert " with small and " in answer.answer(analysis).partition("comes apart")[2]


def test_a_part_with_missing_cells_says_so(tmp_path: Path) -> None:
    lost = {Cell("small", "lora", "back", "continue", "choice", seed): "failed" for seed in (1, 2, 3)}
    analysis = analysed(tmp_path, asked(), statuses=lost)
    assert analysis.separation is not None
    assert {one.name: one.verdicts for one in analysis.separation.parts} == {
        "translation": ("missing",),
        "languages": ("missing",),
        "writing": ("up",),
    }
    assert "translation (“back” over “en”) missing" in answer.answer(analysis)


def test_the_report_shows_arms_terms_and_parts(tmp_path: Path) -> None:
    arms = [{"name": name, "words": f"{name} words", "terms": [TERMS]} for name in ("en", "back")]
    arms.append({"name": "none", "words": "nothing", "terms": []})
    analysis = analysed(tmp_path, asked(), arms)
    laid_out = document(analysis)
    text = report_markdown(laid_out)
    assert "## The arms" in text
    assert "| en | en words | 2,000 | 100 | 16 | 1 |" in text
    assert "Unequal beside what is learnt: steps: 100 in en, 200 in back." in text
    assert "translation" in text and "back − en" in text
    assert ("arms", "they differ in more than what they learn: steps: 100 in en, 200 in back") in (laid_out.remarks)
    told: Any = json.loads(json.dumps(report_json(analysis, laid_out)))
    assert [one["name"] for one in told["contrasts"]] == list(CONTRASTS)
    assert told["arms"][0] == {"name": "en", "words": "en words", "terms": [TERMS]}
    assert 'id="arms"' in page(laid_out)


def test_languages_that_the_backbone_lacks_are_named(tmp_path: Path) -> None:
    arms = [{"name": "en", "words": "words", "terms": []}]
    analysis = analysed(tmp_path, asked(), arms, languages=("en", "de", "qu"), items=20)
    (told,) = (note for note in arm_tables.tables(analysis)[0].notes if note.startswith("Languages that"))
    assert told.endswith("lacks: Quechua (qu).")


@pytest.mark.parametrize(
    "arm",
    [{"name": 3, "words": "", "terms": []}, {"name": "en"}, {"name": "en", "words": "", "terms": [{"steps": "x"}]}],
)
def test_a_damaged_arm_is_told_with_the_file(tmp_path: Path, arm: dict[str, Any]) -> None:
    analysed(tmp_path, asked(), [])
    path = tmp_path / "runs" / "fake" / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"arms": [arm]}))
    with pytest.raises(UnreadableRun, match=r"run\.json is not what a run writes"):
        read(path.parent)
