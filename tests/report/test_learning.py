"""Cells whose answers say nothing, and how a reader is told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from adapterx.plan.cells import Cell
from adapterx.report.analysis import Analysis, analyse
from adapterx.report.document import document
from adapterx.report.exports import report_json, report_markdown, results_csv
from adapterx.report.html import page
from adapterx.report.learning import final
from adapterx.report.summary import summary
from adapterx.store import Store
from tests.report.fake import Fake, predictions, write

ONE = Fake(backbones=("small",), intermediates=("none",), compare=False, items=200)
(CELL,) = ONE.cells()
Answering = Callable[[str, list[int]], list[int]]


def rewritten(fake: Fake, answers: Answering, gold: Mapping[str, int] | None = None) -> Fake:
    """The same with other predictions, from language and gold; and in some languages one gold label."""

    def table(cell: Cell) -> pa.Table:
        made = predictions(fake, cell)
        rows = made.to_pylist()
        for row in rows:
            row["gold"] = [(gold or {}).get(row["language"], label) for label in row["gold"]]
            row["prediction"] = answers(row["language"], row["gold"])
        return pa.Table.from_pylist(rows, schema=made.schema)

    return replace(fake, answers=table)


def constant_in(*languages: str) -> Answering:
    return lambda language, gold: [1] if language in languages else gold


def analysed(fake: Fake, path: Path) -> Analysis:
    store = Store(path)
    return analyse(store, write(store, fake))


def told(analysis: Analysis) -> list[str]:
    return [str(one) for one in analysis.remarks]


def terminal(analysis: Analysis) -> str:
    console = Console(file=StringIO(), width=400)
    console.print(summary(analysis))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_of_cells_that_answer_well_nothing_is_said(tmp_path: Path) -> None:
    analysis = analysed(Fake(accuracy=lambda cell, language: 0.9, items=200), tmp_path)
    assert analysis.remarks == ()
    assert "Read with care" not in page(document(analysis)) + report_markdown(document(analysis))


def test_languages_with_one_answer_are_told_everywhere(tmp_path: Path) -> None:
    analysis = analysed(rewritten(ONE, constant_in("de", "sw")), tmp_path)
    words = "answers 'yes' to everything in de, sw (2 of 3 languages)"
    assert told(analysis) == [f"{CELL.label}: {words}"]
    assert analysis.results.cells[0].status == "done"
    laid_out = document(analysis)
    for text in (terminal(analysis), page(laid_out).replace("&#39;", "'"), report_markdown(laid_out)):
        assert words in text
    assert "1 done (1 constant in 2 of 3 languages)" in terminal(analysis)
    (cell,) = json.loads(json.dumps(report_json(analysis, laid_out)))["cells"]
    assert cell["constant"] == dict.fromkeys(("de", "sw"), "answers 'yes' to everything")
    rows = {row["language"]: row for row in csv.DictReader(StringIO(results_csv(analysis)))}
    assert {language: row["constant"] for language, row in rows.items()} == {"en": "false", "de": "true", "sw": "true"}
    (scores,) = laid_out.results
    assert [entry.text.endswith("†") for entry in scores.rows[0]][-3:] == [False, True, True]
    assert any(note.startswith("†") for note in scores.notes)
    assert analysis.scores[0].summary.mean is not None, "what a cell says in a language counts as it is"


def test_one_answer_in_every_language_is_a_collapse_though_the_store_does_not_say_so(tmp_path: Path) -> None:
    analysis = analysed(rewritten(ONE, lambda language, gold: [0]), tmp_path)
    (cell,) = analysis.results.cells
    assert (cell.status, cell.message) == (
        "collapsed",
        "answers 'no' to everything in de, en, sw (3 of 3 languages)",
    )


def test_one_answer_is_right_where_one_label_is_and_that_is_told(tmp_path: Path) -> None:
    fake = rewritten(ONE, lambda language, gold: gold, dict.fromkeys(ONE.languages, 1))
    analysis = analysed(fake, tmp_path)
    assert analysis.results.cells[0].status == "done"
    (remark, *_) = told(analysis)
    assert remark.startswith("choice: all 200 test items in en, de, sw each have the label 'yes'")


def test_a_language_with_one_label_does_not_hide_a_collapse(tmp_path: Path) -> None:
    analysis = analysed(rewritten(ONE, lambda language, gold: [1], {"de": 1}), tmp_path)
    assert analysis.results.cells[0].message == "answers 'yes' to everything in en, sw (2 of 2 languages)"


def test_nearly_one_answer_in_the_training_language_is_nothing_learnt(tmp_path: Path) -> None:
    seen: list[int] = []

    def nearly(language: str, gold: list[int]) -> list[int]:
        if language == "en":
            seen.append(1)
            return gold if len(seen) <= 2 else [0]
        return gold

    analysis = analysed(rewritten(ONE, nearly), tmp_path)
    assert analysis.judgements[CELL].verdict == "nothing"
    (remark,) = told(analysis)
    assert "has learnt nothing: one answer is at least" in remark and "Try more steps" not in remark, "its loss fell"
    assert "try more of them, or fewer steps" in remark
    assert "1 done (1 learnt nothing)" in terminal(analysis)


@pytest.mark.parametrize(
    ("loss", "accuracy", "verdict", "advice"),
    [
        (0.69, 0.52, "nothing", "Try more steps"),
        (0.55, 0.52, "unclear", "Try more steps"),
        (0.10, 0.52, "unclear", "by heart"),
        (0.69, 0.95, "", ""),
        (0.10, 0.95, "", ""),
    ],
)
def test_losses_and_scores_in_the_training_language_decide(
    loss: float, accuracy: float, verdict: str, advice: str, tmp_path: Path
) -> None:
    fake = replace(ONE, loss=loss, accuracy=lambda cell, language: accuracy)
    judgement = analysed(fake, tmp_path).judgements[CELL]
    assert judgement.verdict == verdict
    assert advice in judgement.advice and bool(judgement.advice) == bool(verdict)
    assert any("training loss ended at 0.69" in why for why in judgement.why) == (verdict == "nothing")


def test_without_a_score_where_it_was_trained_the_loss_decides(tmp_path: Path) -> None:
    fake = replace(ONE, sources=("fr",), accuracy=lambda cell, language: 0.9)
    assert analysed(replace(fake, loss=0.69), tmp_path / "a").judgements[CELL].verdict == "nothing"
    assert analysed(replace(fake, loss=0.2), tmp_path / "b").judgements[CELL].verdict == ""


def test_cells_of_which_the_same_is_to_be_said_share_a_remark(tmp_path: Path) -> None:
    fake = rewritten(replace(ONE, seeds=(1, 2)), constant_in("de"))
    labels = ", ".join(cell.label for cell in fake.cells())
    analysis = analysed(fake, tmp_path)
    assert told(analysis) == [f"{labels}: answers 'yes' to everything in de (1 of 3 languages)"]


def test_a_terminal_is_told_a_few_and_how_many_more(tmp_path: Path) -> None:
    languages = ("de", "en", "sw", "fr")
    fake = replace(ONE, languages=languages, seeds=tuple(range(1, 11)))

    def table(cell: Cell) -> pa.Table:
        some = [code for place, code in enumerate(languages) if cell.seed >> place & 1]  # others for every seed
        answers = rewritten(fake, constant_in(*some)).answers
        assert answers is not None
        return answers(cell)

    analysis = analysed(replace(fake, answers=table), tmp_path)
    assert len(analysis.remarks) == 10
    assert "and 2 more remarks in the report" in terminal(analysis)


def test_the_final_loss_is_that_of_the_last_steps() -> None:
    curve = tuple((step, float(step > 90)) for step in range(1, 101))
    assert final(curve) == 1.0
    assert final(curve[:4]) is None and final(None) is None
    assert final(curve[:5]) == 0.0
