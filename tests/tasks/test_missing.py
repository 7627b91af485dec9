"""Rows that lack something, and files that are no files of rows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.tasks.contents import Contents
from adapterx.tasks.data import counted, fingerprint, load, origin, sizes
from adapterx.tasks.facts import Seen
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.tasks.looks import Looks
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.spec import TaskSpec

COLUMNS = {
    "pair-classification": {"text": "a", "text_pair": "b", "label": "label"},
    "tagging": {"words": "words", "tags": "tags"},
    "multiple-choice": {"context": "{q}", "choices": "choices", "label": "label"},
}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    return tmp_path


def task(format_: str, reader: str = "jsonl", columns: dict[str, Any] | None = None, **more: Any) -> TaskSpec:
    source: dict[str, Any] = {"kind": "local", "reader": reader, "splits": {"test": {"paths": "a"}}}
    fields = {"adapterx": 1, "name": "t", "description": "d", "format": format_, "licence": "l"}
    fields |= {"labels": ["no", "yes"], "metrics": "accuracy", "languages": ["en"]}
    sources = {"local": {**source, "columns": columns or COLUMNS[format_], **more}}
    return TaskSpec.model_validate({**fields, "sources": sources})


PAIR: dict[str, object] = {"a": "x", "b": "y", "label": "no"}
TAGS: dict[str, object] = {"words": ["x", "y"], "tags": ["no", "yes"]}
CHOICE: dict[str, object] = {"q": "x", "choices": ["y", "z"], "label": "no"}
LACKING: list[tuple[str, dict[str, object], str]] = [
    ("pair-classification", {**PAIR, "a": None}, "the column 'a' holds no text but null"),
    ("pair-classification", {**PAIR, "a": float("nan")}, "the column 'a' holds no text but nan"),
    ("pair-classification", {**PAIR, "b": float("-inf")}, "the column 'b' holds no text but -inf"),
    ("pair-classification", {**PAIR, "a": ""}, "the column 'a' is blank"),
    ("pair-classification", {**PAIR, "b": " \u00a0\u200b"}, "the column 'b' is blank"),
    ("pair-classification", {**PAIR, "label": "-"}, "the label is '-', and the task has no such label"),
    ("pair-classification", {**PAIR, "label": None}, "the label is null, and the task has no such label"),
    ("tagging", {**TAGS, "words": ["x", None]}, "the column 'words', at 1 holds no text but null"),
    ("tagging", {**TAGS, "words": ["x", " "]}, "the column 'words' lacks a word"),
    ("tagging", {**TAGS, "words": None}, "the column 'words' holds no list but null"),
    ("tagging", {**TAGS, "tags": ["no", "_"]}, "the label of 'y' is '_'"),
    ("multiple-choice", {**CHOICE, "choices": None}, "the column 'choices' holds no list but null"),
    ("multiple-choice", {**CHOICE, "choices": ["y", None]}, "the column 'choices', at 1 holds no text but null"),
    ("multiple-choice", {**CHOICE, "choices": ["y", ""]}, "the column 'choices', at 1, is blank"),
    ("multiple-choice", {**CHOICE, "q": None}, "the column 'q' holds no text but null"),
]


@pytest.mark.parametrize(("format_", "row", "message"), LACKING)
def test_a_row_that_lacks_something_is_refused_or_left_out_and_counted(
    data: Path, format_: str, row: dict[str, object], message: str
) -> None:
    good = {"pair-classification": PAIR, "tagging": TAGS, "multiple-choice": CHOICE}[format_]
    (data / "a").write_text("".join(json.dumps(one) + "\n" for one in (good, row, good)))
    refuse, drop = task(format_), task(format_, missing="drop")
    with pytest.raises(DataError, match=rf"a:2: {message}.*`missing: drop`"):
        load(refuse, "local", "en", "test")
    assert [one.id for one in load(drop, "local", "en", "test")] == ["test-0", "test-2"], "names are those of rows"
    assert sizes(drop, "local", "en", "test") == 2
    assert counted(drop, "local", "en", "test").left_out == {"a missing value": 1}
    assert fingerprint(refuse, "local", {"test": ["en"]}) != fingerprint(drop, "local", {"test": ["en"]})


def test_what_keeps_blank_texts_is_the_same_data(data: Path) -> None:
    (data / "a").write_text(json.dumps({**PAIR, "b": ""}) + "\n")
    keep = task("pair-classification", missing="keep")
    assert load(keep, "local", "en", "test") == [PairExample("test-0", "x", "", 0)]
    assert fingerprint(keep, "local", {"test": ["en"]}) == fingerprint(
        task("pair-classification"), "local", {"test": ["en"]}
    )
    (data / "a").write_text(json.dumps({**PAIR, "b": None}) + "\n")
    with pytest.raises(DataError, match="a:1: the column 'b' holds no text but null"):
        load(keep, "local", "en", "test")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (5, "the column 'choices' should hold a list of texts, not 5"),
        ("y | z", "the column 'choices' should hold a list of texts, not 'y | z'"),
        ({"text": ["y", "z"]}, "the column 'choices' should hold a list of texts, not {'text'"),
        ([["y"], "z"], r"the column 'choices', at 0 holds no text but \['y'\]"),
        ([True, "z"], "the column 'choices', at 0 holds no text but true"),
        (["y"], "the column 'choices' has 1 choices"),
        (["y", "z", "w"], "the column 'choices' has 3 choices, and the task, by its labels, up to 2"),
    ],
)
def test_choices_are_a_list_of_texts(data: Path, choices: object, message: str) -> None:
    (data / "a").write_text(json.dumps({**CHOICE, "choices": choices}) + "\n")
    with pytest.raises(DataError, match=f"a:1: {message}"):
        load(task("multiple-choice", missing="drop"), "local", "en", "test")


def test_numbers_are_texts_as_they_are_written(data: Path) -> None:
    (data / "a").write_text('{"q": 7, "choices": [12, 1.10], "label": "yes"}\n')
    assert load(task("multiple-choice"), "local", "en", "test") == [ChoiceExample("test-0", "7", ("12", "1.10"), 1)]


def test_words_stand_between_white_space_of_ascii(data: Path) -> None:
    (data / "a").write_text("10\u00a0000 euros\u2028here\tno yes\n", encoding="utf-8")
    spec = task("tagging", "tsv", {"words": 0, "tags": 1})
    assert load(spec, "local", "en", "test") == [TaggingExample("test-0", ("10\u00a0000", "euros\u2028here"), (0, 1))]


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        ("jsonl", '{"a": "\\ud800"}', "a:1: holds half of a surrogate pair"),
        ("jsonl", '{"a": ' + "[" * 100_000, "a:1: is nested too deeply"),
        ("tsv", "a\tb\tno\na\tno\n", r"a:2: has 2 columns, and the first line 3: 'a\\tno'"),
        ("tsv", "a\tb\tno\na\tb\tc\tno\n", "a:2: has 4 columns, and the first line 3"),
        ("titled", "", "a:1: the file is empty, and its first line should name the columns"),
        ("titled", "a\ta\tb\n", "a:1: names the column 'a' more than once"),
        ("titled", "a\tb\n1\n", "a:2: has 1 columns, and the first line 2"),
        ("csv", "", "a:1: the file is empty"),
        ("csv", 'a,b,label\n"x,y,no\n', r"a:\d: is not CSV"),
    ],
)
def test_bad_files_are_told_at_their_row(data: Path, reader: str, text: str, message: str) -> None:
    (data / "a").write_text(text)
    columns: dict[str, Any] | None = {"text": 0, "text_pair": 1, "label": 2} if reader == "tsv" else None
    more: dict[str, Any] = {"header": True} if reader == "titled" else {}
    spec = task("pair-classification", "tsv" if reader == "titled" else reader, columns, **more)
    with pytest.raises(DataError, match=message):
        load(spec, "local", "en", "test")


@pytest.mark.parametrize(("reader", "rows"), [("tsv", 0), ("csv", 0), ("jsonl", 0)])
@pytest.mark.parametrize("text", ["", "\n", "a\tb\tlabel\n"])
def test_a_file_without_rows_counts_none(data: Path, reader: str, rows: int, text: str) -> None:
    text = {"csv": text.replace("\t", ","), "jsonl": text.partition("a")[0], "tsv": text}[reader]
    (data / "a").write_text(text)
    spec = task("pair-classification", reader, None, **({"header": True} if reader == "tsv" else {}))
    assert sizes(spec, "local", "en", "test") == rows
    assert origin(spec, "local", "en", "test") == str(data / "a") and origin(spec, "local", "en", "dev") == ""


def test_what_is_no_regular_file_is_refused_before_it_is_opened(data: Path) -> None:
    os.mkfifo(data / "a")
    for ask in (
        lambda: load(task("tagging"), "local", "en", "test"),
        lambda: sizes(task("tagging"), "local", "en", "test"),
    ):
        with pytest.raises(DataError, match="a: is a pipe, socket or device, no file"):
            ask()


def test_templates_of_positions(data: Path) -> None:
    (data / "a").write_text("x\ty\tno\n")
    spec = task("pair-classification", "tsv", {"text": "{0}: {1}", "label": 2})
    assert load(spec, "local", "en", "test") == [PairExample("test-0", "x: y", None, 0)]
    with pytest.raises(DataError, match=r"a:1: has no column 7; it has 3, by position from 0: \['x', 'y', 'no'\]"):
        load(task("pair-classification", "tsv", {"text": "{7}", "label": 2}), "local", "en", "test")
    with pytest.raises(
        ValueError, match="without `header: true` are positions, counted from 0: text cannot be 'title'"
    ):
        task("pair-classification", "tsv", {"text": "title", "label": 2})
    with pytest.raises(ValueError, match="columns of the jsonl reader have names: text cannot be 0"):
        task("pair-classification", "jsonl", {"text": 0, "label": "label"})


def test_a_look_reads_every_row_once_in_a_store(data: Path, tmp_path: Path) -> None:
    import yaml

    spec = task("pair-classification", missing="drop")
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json", exclude_unset=True)))
    (data / "a").write_text(json.dumps(PAIR) + "\n" + json.dumps({**PAIR, "a": None}) + "\n")
    (tmp_path / "store").mkdir()

    def look(*part: str) -> Seen:
        """As a plan of its own does."""
        return Looks(Contents(tmp_path, tmp_path / "store"))(*part)

    assert look("t", "local", "en", "test").left_out == {"a missing value": 1}
    (kept,) = (tmp_path / "store" / "cache" / "looks").iterdir()
    kept.write_text('{"examples": 1, "left_out": {"a missing value": 7}, "only_label": null}')
    assert look("t", "local", "en", "test").left_out == {"a missing value": 7}, "what is known is not read again"
    kept.write_text("[]")
    assert look("t", "local", "en", "test").left_out == {"a missing value": 1}
    (data / "a").write_text(json.dumps({**PAIR, "label": "maybe"}) + "\n")
    with pytest.raises(DataError, match="a:1: unknown label 'maybe'"):
        look("t", "local", "en", "test")
