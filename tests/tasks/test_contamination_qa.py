"""Questions that are trained on and scored: SQuAD's development set is XQuAD, in any language and from wherever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.contamination import Relations
from adapterx.tasks.contents import Contents
from tests.tasks.hub_tasks import task
from tests.tasks.test_contamination import part

FIELDS = {field: field for field in ("id", "question", "context", "answers")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    return tmp_path


def describe(here: Path, name: str, source: dict[str, Any], *languages: str, **more: Any) -> None:
    """A task of questions with the one source."""
    made = task({}, name=name, format="extractive-qa", metrics="squad_f1", languages=languages or ("en",), **more)
    del made["labels"]
    (here / f"{name}.yaml").write_text(json.dumps({**made, "sources": {source["kind"]: source}}), encoding="utf-8")


def on_the_hub(dataset: str, config: str, **train: Any) -> dict[str, Any]:
    return {"kind": "hub", "dataset": dataset, "config": config, "columns": FIELDS, "splits": {"train": train}}


READ: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "SQuAD's dev": ("rajpurkar/squad", "plain_text", {"split": "validation"}, "xquad", "squad's test"),
    "half of it": ("rajpurkar/squad", "plain_text", {"split": "validation", "fold": {"of": 2, "keep": [0]}}, "xquad",
                   "squad's test"),
    "SQuAD 2.0's dev": ("rajpurkar/squad_v2", "squad_v2", {"split": "validation"}, "xquad", "squad's test"),
    "XQuAD in German": ("google/xquad", "xquad.de", {"split": "validation"}, "xquad", "xquad's test"),
    "XQuAD for SQuAD": ("google/xquad", "xquad.el", {"split": "validation"}, "squad", "squad's test"),
    "MLQA's dev": ("facebook/mlqa", "mlqa.hi.hi", {"split": "validation"}, "mlqa", "mlqa's dev"),
    "MLQA's test": ("facebook/mlqa", "mlqa.hi.hi", {"split": "test"}, "mlqa", "mlqa's test"),
    "SQuAD's train": ("rajpurkar/squad", "plain_text", {"split": "train"}, "xquad", ""),
    "TyDiQA's train": ("google-research-datasets/tydiqa", "secondary_task", {"split": "train"}, "tydiqa", ""),
}  # fmt: skip


@pytest.mark.parametrize("read", READ)
def test_files_of_the_hub_are_known_by_what_the_catalog_reads_of_them(read: str, here: Path) -> None:
    dataset, config, rows, scored, held = READ[read]
    describe(here, "mine", on_the_hub(dataset, config, **rows))
    trained, relations = part("mine", "en", source="hub", beside=here), Relations(Contents(here))
    leak = (
        f"training on 'mine' leaks into the test set of '{scored}': both hold items of {held} split"
        " (the same files on the Hub)"
    )
    language = find(scored).languages[-1]
    assert relations(trained, part(scored, language, source="hub")).leak == (leak if held else None)
    if held:
        assert relations(trained, part(scored, language, source="local")).leak == leak


def test_other_folds_of_the_same_files_share_nothing(here: Path) -> None:
    describe(here, "dev", files(test="dev.json"), derived_from={"test": {"squad": "dev"}})
    write(here / "dev.json", "a")
    found = {}
    for kept in (8, 9):
        rows = {"split": "train", "fold": {"of": 10, "keep": [kept]}}
        describe(here, f"fold-{kept}", on_the_hub("rajpurkar/squad", "plain_text", **rows))
        trained = part(f"fold-{kept}", "en", source="hub", beside=here)
        found[kept] = Relations(Contents(here))(trained, part("dev", "en", beside=here)).leak
    assert found[8] is None
    assert found[9] is not None and "squad's dev split (the same files on the Hub)" in found[9]


def test_what_may_be_trained_on_for_another_task_of_the_catalog() -> None:
    relations = Relations(Contents(None))
    for learnt in ("squad", "squad-v2"):
        found = relations(part(learnt, "en", source="hub"), part("xquad", "de", source="hub"))
        assert (found.leak, found.same_task) == (None, True), learnt
    found = relations(part("squad-v2", "en", source="hub"), part("tydiqa", "te", source="hub"))
    assert (found.leak, found.same_task) == (None, False)


def write(path: Path, *ids: str, text: str = "passage") -> None:
    qas = [{"id": id, "question": f"{text}?", "answers": [{"text": text, "answer_start": 0}]} for id in ids]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": text, "qas": qas}]}]}), encoding="utf-8")


def files(**splits: str) -> dict[str, Any]:
    parts = {split: {"paths": path} for split, path in splits.items()}
    return {"kind": "local", "reader": "squad", "columns": {"id": "id"}, "splits": parts}


def test_a_translation_is_known_by_the_ids_of_its_questions(here: Path) -> None:
    (here / "xquad").mkdir()
    write(here / "xquad" / "xquad.en.json", "56bf10f43aeaaa14008c9501", "12", "56beb4343aeaaa14008c925b")
    write(here / "translated.json", "12", "56beb4343aeaaa14008c925b", text="Absatz")
    describe(here, "mine", files(train="translated.json"), "de")
    trained, scored = part("mine", "de", beside=here), part("xquad", "en", beside=here)
    assert Relations(Contents(here))(trained, scored).leak == (
        "training on 'mine' leaks into the test set of 'xquad': 1 of the 2 ids of its questions are those of training"
        " items"
    )
    write(here / "translated.json", "12", "56be4db0acb8001400a502ec", text="Absatz")
    store = here / "store"
    store.mkdir()
    assert Relations(Contents(here, store))(trained, scored).leak is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "stream", None)
        assert Relations(Contents(here, store))(trained, scored).leak is None, "ids are kept by content"


@pytest.mark.usefixtures("benchmarks")
def test_real_questions_that_go_together_and_those_that_do_not(tmp_path: Path) -> None:
    relations = Relations(Contents(tmp_path))
    for scored in ("xquad", "mlqa", "tydiqa"):
        found = relations(part("squad", "en"), part(scored, *find(scored).languages[:1]))
        assert (found.leak, found.same_task) == (None, scored != "tydiqa"), scored
    describe(tmp_path, "dev", files(train="squad/dev-v1.1.partA.json"))
    found = relations(part("dev", "en", beside=tmp_path), part("xquad", "th"))
    assert found.leak is not None and "ids of its questions are those of training items" in found.leak
    describe(tmp_path, "german", files(train="mlqa_dev/dev-context-de-question-de.json"), "de")
    found = relations(part("german", "de", beside=tmp_path), part("mlqa", "en"))
    assert found.leak is not None and "512 of the 1,148 ids" in found.leak


def test_sentences_to_be_found_are_those_of_their_questions(here: Path) -> None:
    """A copy of XQuAD that names no origin is known by its ids, whatever its items are made into."""
    question = {"id": "56beb4343aeaaa14008c925b", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}
    (here / "xquad").mkdir()
    for name in ("xquad/xquad.en.json", "copy.json"):
        content = {"data": [{"paragraphs": [{"context": f"Ada, in {name}.", "qas": [question]}]}]}
        (here / name).write_text(json.dumps(content))
    copy = {"kind": "local", "reader": "squad", "columns": {"id": "id"}, "splits": {"train": {"paths": "copy.json"}}}
    describe(here, "mine", copy)
    found = Relations(Contents(here))(part("mine", "en", beside=here), part("xquad-r", "en"))
    assert found.leak is not None and "1 of the 1 ids of its questions are those of training items" in found.leak


def test_miracl_asks_what_tydiqa_trains_on() -> None:
    found = Relations(Contents(None))(part("tydiqa", "en"), part("miracl", "en"))
    assert found.leak is not None and "both hold items of tydiqa's train split" in found.leak
