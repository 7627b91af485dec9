from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from adapterx.plan.cells import Cell
from adapterx.report import Analysis, analyse, tables
from adapterx.report.colours import diverging
from adapterx.report.document import document
from adapterx.report.exports import report_json, report_markdown, results_csv
from adapterx.report.summary import summary
from adapterx.report.table import Table, TableColumn, TableEntry, fold, markdown
from adapterx.store import Store
from tests.report.fake import Fake, write


def analysed(tmp_path: Path, fake: Fake) -> Analysis:
    store = Store(tmp_path)
    return analyse(store, write(store, fake))


def perfect(cell: object, language: str) -> float:
    """Right everywhere, or nowhere: scores that need no arithmetic."""
    intermediate = getattr(cell, "intermediate", "")
    return 1.0 if language == "en" or intermediate == "multi" else 0.0


def test_scores_by_language(tmp_path: Path) -> None:
    fake = Fake(backbones=("small",), accuracy=perfect, items=10, random=3)
    (table,) = tables.results(analysed(tmp_path, fake))
    assert markdown(table).splitlines() == [
        "**choice: accuracy, in per cent (backbone small, method lora).**",
        "",
        "| intermediate | transfer | mean others | mean all | source en | other languages de | other languages sw |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| none | none | 0.0 [0.0, 33.9] | 33.3 | 100.0 | 0.0 | 0.0 |",
        "| en | continue | 0.0 [0.0, 33.9] | 33.3 | 100.0 | 0.0 | 0.0 |",
        "| multi | continue | 100.0 [66.1, 100.0] | 100.0 | 100.0 | 100.0 | 100.0 |",
        "| majority |  | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 |",
    ]


def test_target_training_is_labelled(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = write(store, Fake(backbones=("small",), accuracy=perfect, items=10)) / "run.json"
    content = json.loads(run.read_text())
    for cell in content["cells"]:
        cell["target_training"] = cell["cell"]["intermediate"] == "en"
    run.write_text(json.dumps(content))
    analysis = analyse(store, run.parent)
    (table,) = tables.results(analysis)
    assert [row[0].text for row in table.rows] == ["none", "en (target training)", "multi", "majority"]
    assert table.notes == (tables.TARGET_TRAINING,)
    laid_out = document(analysis)
    for one in (laid_out.gaps, *laid_out.by_language):
        assert one is not None and "target training" in one.caption
    text = report_markdown(laid_out)
    assert "choice (target training: en)" in text and text.count(tables.TARGET_TRAINING) == 2
    told = json.loads(json.dumps(report_json(analysis, laid_out)))
    for rows in (told["scores"], told["cells"]):
        assert {(one["intermediate"], one["target_training"]) for one in rows} == {
            ("none", False),
            ("en", True),
            ("multi", False),
        }
    assert {tuple(one["target_training"]) for one in told["gaps"]} == {("en",)}
    rows = list(csv.DictReader(StringIO(results_csv(analysis))))
    assert {row["target_training"] for row in rows if row["intermediate"] == "en"} == {"true"}
    assert {row["target_training"] for row in rows if row["intermediate"] != "en"} == {"false"}
    screen = StringIO()
    Console(file=screen, width=200).print(summary(analysis))
    assert "en (target training)" in screen.getvalue()


def test_target_training_is_labelled_where_cells_failed_and_across_sizes(tmp_path: Path) -> None:
    fake = Fake(accuracy=perfect, items=10)
    fake = replace(fake, statuses={cell: "failed" for cell in fake.cells() if cell.label.startswith("large.lora.en")})
    store = Store(tmp_path)
    run = write(store, fake) / "run.json"
    content = json.loads(run.read_text())
    for cell in content["cells"]:
        cell["target_training"] = cell["cell"]["intermediate"] == "en"
    run.write_text(json.dumps(content))
    analysis = analyse(store, run.parent)
    unfinished, changes = tables.unfinished(analysis.results), tables.changes(analysis)
    assert unfinished is not None and {row[2].text for row in unfinished.rows} == {"en (target training)"}
    assert changes is not None and "choice (target training: en)" in changes.caption
    assert tables.TARGET_TRAINING in changes.notes


def test_gaps_and_changes(tmp_path: Path) -> None:
    fake = Fake(accuracy=perfect, items=10)
    fake = replace(fake, statuses={cell: "failed" for cell in fake.cells() if cell.label.startswith("large.lora.en")})
    analysis = analysed(tmp_path, fake)
    gaps, changes = tables.gaps(analysis), tables.changes(analysis)
    assert gaps is not None
    assert changes is not None
    assert markdown(gaps).splitlines() == [
        "**Gap multi − en in percentage points, with 95% intervals"
        " (method lora, transfer continue, target choice, 1 seed, 3 languages, 10 items).**",
        "",
        "| backbone | mean over languages others | mean over languages all | mean over languages source |",
        "| --- | ---: | ---: | ---: |",
        "| small | **+100.0** [+100.0, +100.0] | **+66.7** [+66.7, +66.7] | 0.0 [0.0, 0.0] |",
        "| large | 0 of 1 seed (en: 1 failed) | 0 of 1 seed (en: 1 failed) | 0 of 1 seed (en: 1 failed) |",
        "",
        "Source: the language the target was trained in. Bold: the interval excludes zero.",
    ]
    assert [entry.text for entry in changes.rows[0]] == ["lora", "+100.0", "0 of 1 seed (en: 1 failed)", "1 of 2 gaps"]
    assert [entry.tone for entry in changes.rows[0]] == ["", "strong", "missing", "missing"]


def test_gaps_by_language_are_coloured_by_sign_and_bold_where_sure(tmp_path: Path) -> None:
    (table,) = tables.by_language(analysed(tmp_path, Fake(backbones=("small",), accuracy=perfect, items=10)))
    assert [column.title for column in table.columns] == ["backbone", "en", "de", "sw"]
    ((label, source, *others),) = table.rows
    assert (label.text, source.text, source.tone) == ("small", "0.0", "")
    assert {(entry.text, entry.tone, entry.colours) for entry in others} == {("+100.0", "strong", diverging(1, 1))}
    assert others[0].note == "+100.0 [+100.0, +100.0]"


def test_a_gap_that_may_be_chance_is_pale(tmp_path: Path) -> None:
    def accuracy(cell: Cell, language: str) -> float:
        return 0.9 if cell.intermediate == "multi" and language == "de" else 0.5

    (table,) = tables.by_language(analysed(tmp_path, Fake(backbones=("small",), accuracy=accuracy, items=60)))
    (row,) = table.rows
    sure, unsure = (next(one for one in row[1:] if (one.tone == "strong") == strong) for strong in (True, False))
    largest = max(abs(float(one.text.replace("−", "-"))) for one in row[1:])
    value = float(unsure.text.replace("−", "-"))
    assert sure.colours == diverging(1, 1)
    assert value != 0 and unsure.colours != diverging(value, largest)
    assert table.scale == (f"−{largest}", f"+{largest} points")


def test_a_missing_language_is_a_dash_with_its_reason(tmp_path: Path) -> None:
    fake = Fake(backbones=("small",), seeds=(1, 2))
    victim = next(cell for cell in fake.cells() if cell.intermediate == "multi")
    analysis = analysed(tmp_path, replace(fake, statuses={victim: "diverged"}))
    row = tables.results(analysis)[0].rows[2]
    assert [entry.text for entry in row] == ["multi", "continue", "1 of 2 seeds", "–", "–", "–", "–"]
    assert {entry.note for entry in row[3:]} == {"1 of 2 seeds (1 diverged)"}
    unfinished = tables.unfinished(analysis.results)
    assert unfinished is not None
    assert [[entry.text for entry in row] for row in unfinished.rows] == [
        ["small", "lora", "multi", "continue", "choice", "1", "diverged", "loss is not a number at step 7"]
    ]


def test_every_metric_has_its_table_and_the_first_is_the_main_one(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, Fake(targets=("names",), tagging=("names",), backbones=("small",)))
    captions = [table.caption for table in tables.results(analysis)]
    assert [caption.split(",")[0] for caption in captions] == ["names: span F1", "names: accuracy"]
    main = {score.setting: score.summary.mean for score in analysis.scores if score.metric == "span_f1"}
    gap = analysis.gaps[0]
    expected = main[gap.arm].value - main[gap.baseline].value  # type: ignore[union-attr]
    assert gap.summary.mean.value == pytest.approx(expected)  # type: ignore[union-attr]


def test_fold_says_once_what_never_varies() -> None:
    columns = [
        TableColumn("method", label=True),
        TableColumn("target", label=True),
        TableColumn("seeds", size=True),
        TableColumn("gap"),
    ]
    rows = [[TableEntry("lora"), TableEntry(target), TableEntry("1"), TableEntry("0.0")] for target in ("a", "b")]
    kept, entries, phrase = fold(columns, rows)
    assert [column.title for column in kept] == ["target", "gap"]
    assert [[entry.text for entry in row] for row in entries] == [["a", "0.0"], ["b", "0.0"]]
    assert phrase == " (method lora, 1 seed)"
    kept, _, phrase = fold(columns, rows[:1])
    assert [column.title for column in kept] == ["method", "gap"]
    assert phrase == " (target a, 1 seed)"


def test_markdown_keeps_marks_as_text() -> None:
    table = Table("t", "a *b*", (TableColumn("x|y", label=True),), ((TableEntry("<b>\n1_2"),),))
    assert markdown(table) == "**a \\*b\\***\n\n| x\\|y |\n| --- |\n| \\<b> 1\\_2 |\n"


def test_colours_are_pale_at_zero_and_legible_everywhere() -> None:
    assert diverging(0, 1)[0] == diverging(0, 0)[0] == "#faf9f6"
    assert diverging(2, 1) == diverging(1, 1)
    assert diverging(1, 1)[0] != diverging(-1, 1)[0]
    for value in range(-20, 21):
        background, text = (_luminance(colour) for colour in diverging(value / 20, 1))
        assert (max(background, text) + 0.05) / (min(background, text) + 0.05) > 4.5


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
