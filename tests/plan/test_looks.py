"""What a plan says of data that is not there, cannot be read, or is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx import cli

TASK = """\
adapterx: 1
name: soup
description: Is the soup good?
format: pair-classification
labels: [bad, good]
metrics: accuracy
languages: [en, de, th]
licence: mine
sources:
  local:
    kind: local
    reader: tsv
    columns: {text: text, label: label}
    header: true
    missing: MISSING
    splits: {train: {paths: train.tsv, languages: [en]}, test: {paths: "{language}.tsv"}}
"""
RECIPE = """\
adapterx: 1
name: soups
backbones: {b: embedded/e5-small@1}
methods: {lora: {kind: lora, rank: 2}}
targets: {soup: {task: soup, languages: LANGUAGES}}
train: {steps: 2, batch_size: 2}
"""
ROWS = "text\tlabel\nhot soup\tgood\ncold soup\tbad\n"


@pytest.fixture
def planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Plans a recipe over a task whose files are given, and gives the exit code and what was printed, on one line."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    monkeypatch.setenv("ADAPTERX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "400")

    def plan(missing: str = "refuse", languages: str = "all", **files: str | None) -> tuple[int, str]:
        train = ROWS.replace("soup", "bread")
        for name, text in {"train": train, "en": ROWS, "de": ROWS, "th": ROWS, **files}.items():
            if text is not None:
                (tmp_path / f"{name}.tsv").write_text(text)
        (tmp_path / "soup.yaml").write_text(TASK.replace("MISSING", missing))
        (tmp_path / "recipe.yaml").write_text(RECIPE.replace("LANGUAGES", languages))
        code = cli.main(["plan", str(tmp_path / "recipe.yaml")])
        found = capsys.readouterr()
        return code, " ".join((found.out + found.err).split())

    return plan


@pytest.mark.parametrize(
    ("text", "why"), [("", "there is nothing in"), ("text\tlabel\n", "nothing in"), (None, "no such file")]
)
def test_a_language_without_rows_is_left_out_and_told(
    planned: Callable[..., tuple[int, str]], text: str | None, why: str
) -> None:
    code, said = planned(th=text)
    assert code == 0 and "1 training" in said and "1 evaluation" in said
    assert "left out: the language 'th' of the task 'soup' (local)" in said and why in said and "th.tsv" in said
    code, said = planned(th=text, languages="[en, th]")
    assert code == 2 and "refused" in said and why in said and "th.tsv" in said


def test_nothing_at_all_is_refused_with_the_first_file(planned: Callable[..., tuple[int, str]]) -> None:
    code, said = planned(en="", de="", th="")
    assert code == 2 and "has no test data in any language: there is nothing in" in said and "en.tsv" in said


def test_a_row_that_is_wrong_is_told_before_anything_is_trained(planned: Callable[..., tuple[int, str]]) -> None:
    code, said = planned(th=ROWS + "warm soup\tgood\tgood\n")
    assert code == 2 and "th.tsv:4: has 3 columns, and the first line 2" in said
    code, said = planned(th=ROWS + "\tgood\n")
    assert code == 2 and "th.tsv:4: the column 'text' is blank; mend the row, or leave" in said


def test_rows_that_are_left_out_are_counted(planned: Callable[..., tuple[int, str]]) -> None:
    code, said = planned("drop", th=ROWS + "\tgood\nwarm soup\t-\n", train=ROWS.replace("soup", "bread") + "bread\t\n")
    assert code == 0
    assert "left out: 2 test items of the task 'soup' (local) in 'th', for a missing value" in said
    assert "left out: 1 train item of the task 'soup' (local) in 'en', for a missing value" in said
    code, said = planned("drop", "[th]", th="text\tlabel\n\tgood\n")
    assert code == 2 and "there is nothing in" in said and "1 left out for a missing value" in said


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{task: soup, source: dev}", "the task 'soup' has no source 'dev' (that is a split; its sources are local)"),
        (
            "{task: soup, source: locl, train_task: mrpc}",
            "the task 'soup' has no source 'locl' (did you mean 'local'?)",
        ),
        (
            "{task: paws-x, source: german-test, train_task: mrpc}",
            "the task 'mrpc' has no source 'german-test' (known: local, hub); `source` is that of `task` and of"
            " `train_task`",
        ),
    ],
)
def test_a_source_that_is_none_is_told_of_the_task_that_lacks_it(
    planned: Callable[..., tuple[int, str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    target: str,
    message: str,
) -> None:
    planned()
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("{task: soup, languages: LANGUAGES}", target))
    assert cli.main(["plan", str(tmp_path / "recipe.yaml")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("has no source") == 1


def test_a_split_with_one_label_is_told(planned: Callable[..., tuple[int, str]]) -> None:
    for _ in range(2):  # read, and then remembered
        code, said = planned(de="text\tlabel\nhot soup\tgood\nwarm soup\tgood\n")
        assert code == 0
        assert "one label: all test items of the task 'soup' (local) in 'de' have the label 'good'" in said
        assert said.count("one label:") == 1


def test_one_item_has_one_label_and_nothing_is_told(planned: Callable[..., tuple[int, str]]) -> None:
    code, said = planned(de="text\tlabel\nhot soup\tgood\n")
    assert code == 0 and "one label:" not in said
