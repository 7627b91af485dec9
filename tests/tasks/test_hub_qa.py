"""Questions about passages from the Hub: the struct of lists that SQuAD's datasets share, folds, filters, offsets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapterx.tasks.spec import TaskSpec
from tests.support.hub import Hub, serve
from tests.tasks.hub_tasks import ask, parquet, task

NAME = "someone/questions"
FIELDS = {field: field for field in ("id", "question", "context", "answers")}
SOURCE: dict[str, Any] = {"dataset": NAME, "revision": "main", "columns": FIELDS, "splits": {"train": "train"}}
SMILE = "\U0001f600 Ada wrote it in 1843."


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serve(tmp_path / "hub") as running:
        yield running


def row(id: str, context: str = SMILE, *answers: tuple[str, int]) -> dict[str, Any]:
    lists = {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}
    return {"id": id, "title": "Unread", "question": "Who?", "context": context, "answers": lists}


def commit(hub: Hub, *rows: dict[str, Any]) -> None:
    hub.commit(f"datasets/{NAME}", {"data/train-00000-of-00001.parquet": parquet(rows, 3)}, "main")


def spec(source: dict[str, Any] = SOURCE, **more: Any) -> dict[str, Any]:
    made = task(source, **{"format": "extractive-qa", "metrics": "squad_f1", **more})
    del made["labels"]
    return made


def test_a_struct_of_lists_is_read_by_characters(hub: Hub) -> None:
    commit(hub, row("a", SMILE, ("Ada", 2), ("1843", 18)), row("b"))
    found, size = ask(
        hub, [spec(unanswerable=True), "load", "hub", "en", "train"], [spec(), "sizes", "hub", "en", "train"]
    )
    answers = [{"text": "Ada", "start": 2}, {"text": "1843", "start": 18}]
    assert found == [
        {"id": "a", "question": "Who?", "context": SMILE, "answers": answers},
        {"id": "b", "question": "Who?", "context": SMILE, "answers": []},
    ]
    assert size == 2


def test_a_list_of_structs_is_read_too(hub: Hub) -> None:
    commit(hub, {**row("a"), "answers": [{"text": "Ada", "answer_start": 2}]})
    (found,) = ask(hub, [spec(), "load", "hub", "en", "train"])
    assert found[0]["answers"] == [{"text": "Ada", "start": 2}]


def test_folds_go_by_passage_and_filters_by_how_a_text_begins(hub: Hub) -> None:
    passages = ("P0 x", "P0 x", "P1 x", "P2 x", "P2 x", "P2 x", "P3 x")
    commit(hub, *(row(f"{('german', 'english')[n % 2]}-{n}", text, ("x", 3)) for n, text in enumerate(passages)))

    def chosen(language: str, **rows: Any) -> list[Any]:
        source = {**SOURCE, "codes": {"en": "english", "de": "german"}, "splits": {"train": {"split": "train", **rows}}}
        return [[spec(source), call, "hub", language, "train"] for call in ("load", "sizes")] + [
            [spec(source), "fingerprint", "hub", {"train": [language]}]
        ]

    prefix = {"id": "{language}-*"}
    fold = {"of": 2, "keep": [1]}
    asked = [chosen("en", where=prefix), chosen("de", where=prefix), chosen("en", fold=fold)]
    asked += [chosen("en", fold=fold, where=prefix), chosen("en", where={"id": ["english-1", "german-*"]})]
    answers = ask(hub, *(question for one in asked for question in one))
    found = [[int(one["id"].split("-")[1]) for one in answer] for answer in answers[::3]]
    assert found == [[1, 3, 5], [0, 2, 4, 6], [2, 6], [], [0, 1, 2, 4, 6]]
    assert answers[1::3] == [None] * 5, "only the rows tell how many are kept"
    assert len(set(answers[2::3])) == 5, "the language's own name in the dataset is part of what is read"


MISPLACED = "SQuAD is read: it is read twice."


def test_what_becomes_of_misplaced_answers(hub: Hub) -> None:
    moved = row("a", MISPLACED, ("SQuAD", 1), ("is read", 20))
    commit(hub, moved, row("b", MISPLACED, ("it", 15)))
    sources = [{**SOURCE, "misplaced": how} for how in ("refuse", "nearest", "drop")]
    questions = [[spec(source), "load", "hub", "en", "train"] for source in sources]
    sizes = [[spec(source), "sizes", "hub", "en", "train"] for source in sources]
    refused, nearest, dropped, *counted = ask(hub, *questions, *sizes)
    assert refused == (
        f"DataError: {NAME}: data/train-00000-of-00001.parquet, row 0: answers[0]: the passage has 'QuAD ' at"
        " character 1, not 'SQuAD'"
    )
    assert [answer["start"] for answer in nearest[0]["answers"]] == [0, 18]
    assert [one["id"] for one in dropped] == ["b"]
    assert counted == [2, 2, None]

    commit(hub, row("a", MISPLACED, ("Ada", 1)))
    (answer,) = ask(hub, questions[1])
    assert "row 0: answers[0]: the passage has" in answer, "an answer that the passage lacks has no place"


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "lengths": ({"text": ["Ada"], "answer_start": [2, 3]}, "answers: has 1 texts, and 2 places where they start"),
    "texts": ({"answer_start": [2]}, "answers: 'text' should be a list"),
    "start": ({"text": ["Ada"], "answer_start": ["2"]}, "answers[0]: answer_start should be a whole number"),
    "before": ({"text": ["Ada"], "answer_start": [-1]}, "answers[0]: the passage has '' at character -1"),
}


def test_what_is_wrong_is_told_with_its_row(hub: Hub) -> None:
    files = {
        f"data/{name}.parquet": parquet([{**row("a"), "answers": answers}]) for name, (answers, _) in MISTAKES.items()
    }
    hub.commit(f"datasets/{NAME}", files, "main")
    questions = [[spec({**SOURCE, "splits": {"train": name}}), "load", "hub", "en", "train"] for name in MISTAKES]
    for (name, (_, message)), answer in zip(MISTAKES.items(), ask(hub, *questions), strict=True):
        assert answer.startswith("DataError") and f"data/{name}.parquet, row 0" in answer and message in answer


def test_what_a_source_of_questions_cannot_be() -> None:
    lacking = {**SOURCE, "columns": {"question": "question", "context": "context"}}
    for made, message in (
        (spec(lacking), "source hub: columns lacks 'answers'"),
        (spec({**SOURCE, "misplaced": "drop", "splits": {"test": "test"}}), "drop would leave out test items"),
        (task({**SOURCE, "columns": {"text": "q", "label": "l"}, "misplaced": "drop"}), "misplaced is of answers"),
    ):
        with pytest.raises(ValidationError, match=message):
            TaskSpec.model_validate(made)
