"""SQuAD's JSON as a source, and what a task of its format may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapterx.tasks.data import counted, fingerprint, load, sizes
from adapterx.tasks.items import ItemError, read
from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.extractive_qa import Answer, QAExample
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.spec import TaskSpec

CONTEXT = "Ada wrote the first program in 1843."


def question(id: str = "q", answers: object = None, **more: object) -> dict[str, object]:
    given = [{"text": "Ada", "answer_start": 0}] if answers is None else answers
    return {"id": id, "question": "Who wrote it?", "answers": given, **more}


def write(path: Path, *paragraphs: object) -> None:
    path.write_text(json.dumps({"data": [{"title": "x", "paragraphs": [one]} for one in paragraphs]}))


def task(**changes: Any) -> TaskSpec:
    source = {"kind": "local", "reader": "squad", "columns": {"id": "id"}, "splits": {"test": {"paths": "qa.json"}}}
    fields: dict[str, Any] = {
        "adapterx": 1, "name": "qa", "description": "Q.", "format": "extractive-qa", "metrics": ["squad_f1"],
        "languages": ["en"], "licence": "none", "sources": {"local": source | changes.pop("source", {})}, **changes,
    }  # fmt: skip
    return TaskSpec.model_validate(fields)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path))
    return tmp_path / "qa.json"


def test_questions_are_read_with_their_answers(data: Path) -> None:
    two = [{"text": "Ada", "answer_start": 0}, {"text": "program", "answer_start": 20}]
    silent = question("c", two, is_impossible=True)
    write(data, {"context": CONTEXT, "qas": [question("a"), question("b", two), silent]})
    found = load(task(unanswerable=True), "local", "en", "test")
    answers = (Answer("Ada", 0), Answer("program", 20))
    assert found == [
        QAExample("a", "Who wrote it?", CONTEXT, answers[:1]),
        QAExample("b", "Who wrote it?", CONTEXT, answers),
        QAExample("c", "Who wrote it?", CONTEXT, ()),
    ]
    assert sizes(task(), "local", "en", "test") == 3


def test_an_empty_answer_is_none_and_plausible_ones_are_not_read(data: Path) -> None:
    plausible = [{"text": "program", "answer_start": 20}]
    both = [{"text": "", "answer_start": 7}, {"text": "Ada", "answer_start": 0}]
    asked = [question("a", [{"text": "", "answer_start": 0}]), question("b", both)]
    asked.append(question("c", [], is_impossible=True, plausible_answers=plausible))
    write(data, {"context": CONTEXT, "qas": asked})
    found = load(task(unanswerable=True), "local", "en", "test")
    answers = [one.answers for one in found if isinstance(one, QAExample)]
    assert answers == [(), (Answer("Ada", 0),), ()]
    write(data, {"context": CONTEXT, "qas": [question("a"), asked[2]]})
    with pytest.raises(DataError, match=r"qas\[1\]: has no answer; .*`unanswerable: true`"):
        load(task(), "local", "en", "test")
    write(data, {"context": CONTEXT, "qas": [question("a", is_impossible="false")]})
    with pytest.raises(DataError, match=r"qas\[0\]: 'is_impossible' should be true or false, not 'false'"):
        load(task(), "local", "en", "test")


def test_questions_without_a_text_are_refused_or_left_out(data: Path) -> None:
    blank, nothing = {**question("b"), "question": " "}, {**question("c"), "question": None}
    write(data, {"context": CONTEXT, "qas": [question("a"), blank, nothing]}, {"context": None, "qas": [question("d")]})
    with pytest.raises(DataError, match=r"qas\[1\]: 'question' is blank; mend the row, or leave .*`missing: drop`"):
        load(task(), "local", "en", "test")
    drop = task(source={"missing": "drop"})
    assert [one.id for one in load(drop, "local", "en", "test")] == ["a"]
    assert sizes(drop, "local", "en", "test") == 1
    assert counted(drop, "local", "en", "test").left_out == {"a missing value": 3}


def test_folds_are_of_paragraphs_and_questions_may_be_named_by_their_place(data: Path) -> None:
    write(data, *({"context": CONTEXT, "qas": [question("same")] * count} for count in (1, 2, 3, 4)))
    parts = {}
    for keep in (0, 1):
        source = {"columns": {}, "splits": {"test": {"paths": "qa.json", "fold": {"of": 2, "keep": [keep]}}}}
        spec = task(source=source)
        parts[keep] = [example.id for example in load(spec, "local", "en", "test")]
        assert sizes(spec, "local", "en", "test") == len(parts[keep])
    assert parts == {0: ["test-0-0", "test-2-0", "test-2-1", "test-2-2"], 1: [f"test-{p}-{q}" for p, q in
                     ((1, 0), (1, 1), (3, 0), (3, 1), (3, 2), (3, 3))]}  # fmt: skip


MISTAKES = {
    "answer": ([{"text": "Eve", "answer_start": 0}], r"qas\[0\]: answers\[0\]: the passage has 'Ada' at character 0"),
    "before": ([{"text": "A", "answer_start": -1}], r"answers\[0\]: the passage has '' at character -1, not 'A'"),
    "none": ([], r"qas\[0\]: has no answer; a task some of whose questions have none says `unanswerable: true`"),
    "empty": ([{"text": "", "answer_start": 0}], r"qas\[0\]: has no answer; .*`unanswerable: true`"),
    "start": ([{"text": "Ada", "answer_start": "0"}], r"answers\[0\]: answer_start should be a whole number"),
    "text": ([{"answer_start": 0}], r"answers\[0\]: 'text' should be a text"),
    "list": ("Ada", r"qas\[0\]: 'answers' should be a list"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_is_told_with_its_place(mistake: str, data: Path) -> None:
    answers, message = MISTAKES[mistake]
    write(data, {"context": CONTEXT, "qas": [question("a", answers)]})
    with pytest.raises(DataError, match=message) as error:
        load(task(), "local", "en", "test")
    assert f"{data}: data[0].paragraphs[0].qas[0]" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[" * 100_000, "too deeply"), ("[]", "is not a JSON object"), ("{}", "'data'")],
)
def test_files_of_another_kind_are_refused(text: str, message: str, data: Path) -> None:
    data.write_text(text)
    with pytest.raises(DataError, match=message):
        load(task(), "local", "en", "test")
    with pytest.raises(DataError, match=message):
        sizes(task(), "local", "en", "test")


def test_an_id_at_two_questions_of_a_test_is_refused(data: Path) -> None:
    write(data, {"context": CONTEXT, "qas": [question("a"), question("a")]})
    with pytest.raises(DataError, match="the id 'a' stands at more than one item"):
        load(task(), "local", "en", "test")


def test_answers_that_were_moved_are_found_again_or_left_out(data: Path) -> None:
    moved = question("a", [{"text": "program", "answer_start": 17}])
    gone = question("b", [{"text": "Eve", "answer_start": 0}])
    write(data, {"context": CONTEXT, "qas": [moved, question("c")]}, {"context": CONTEXT, "qas": [gone]})
    train = {"splits": {"train": {"paths": "qa.json"}}}
    drop, nearest = (task(source={**train, "misplaced": how}) for how in ("drop", "nearest"))
    assert [one.id for one in load(drop, "local", "en", "train")] == ["c"]
    assert sizes(drop, "local", "en", "train") == 1
    with pytest.raises(DataError, match=r"paragraphs\[0\].qas\[0\]: answers\[0\]: the passage has 'Ada' at"):
        load(nearest, "local", "en", "train")
    write(data, {"context": CONTEXT, "qas": [moved]})
    (found,) = load(nearest, "local", "en", "train")
    assert isinstance(found, QAExample) and found.answers == (Answer("program", 20),)
    assert len({fingerprint(one, "local", {"train": ["en"]}) for one in (drop, nearest, task(source=train))}) == 3


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "labels": ({"labels": ["a", "b"]}, "labels: the format extractive-qa has none"),
    "metric": ({"metrics": ["accuracy"]}, "accuracy is not for the format extractive-qa; squad_f1, "),
    "language": ({"metrics": ["mlqa_f1"], "languages": ["en", "th"]}, "no rules for the language 'th'"),
    "reader": ({"source": {"reader": "jsonl"}}, "the squad reader and the format extractive-qa go together"),
    "columns": ({"source": {"columns": {"id": "key"}}}, "columns of SQuAD's JSON are"),
    "tests": ({"source": {"misplaced": "drop"}}, "misplaced: drop would leave out test items; 'nearest' keeps them"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_a_task_cannot_be(wrong: str) -> None:
    changes, message = REFUSED[wrong]
    with pytest.raises(ValidationError, match=message):
        task(**changes)


def test_unanswerable_questions_are_those_of_extractive_qa(data: Path) -> None:
    write(data, {"context": CONTEXT, "qas": [question()]})
    assert task(unanswerable=True).unanswerable
    pairs = {"format": "pair-classification", "labels": ["a", "b"], "metrics": ["accuracy"], "unanswerable": True}
    with pytest.raises(ValidationError, match="always have an answer"):
        task(**pairs)
    # Answers may be other ones, so their identity is another.
    several = [fingerprint(one, "local", {"test": ["en"]}) for one in (task(), task(unanswerable=True))]
    assert len(set(several)) == 2


def test_new_questions_need_no_answers() -> None:
    lines = ['{"id": 7, "question": "Who?", "context": "Ada.", "answers": []}', '{"question": "", "context": ""}']
    assert read(lines, "items", kind("extractive-qa"), ()) == [
        QAExample("7", "Who?", "Ada.", ()),
        QAExample("2", "", "", ()),
    ]
    with pytest.raises(ItemError, match="items:1: lacks the field 'context'"):
        read(['{"question": "Who?"}'], "items", kind("extractive-qa"), ())
