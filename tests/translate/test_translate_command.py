"""`adapterx translate`, through the real command line: what is written, left out and refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.kinds.multiple_choice import ChoiceExample, MultipleChoice
from adapterx.translate import layout
from adapterx.translate.errors import TranslationError
from tests.translate import tasks
from tests.translate.engines import command as program
from tests.translate.tasks import provenance, read, translate, well

DE = ("--to", "de")


# Every kind of task


def test_single_texts(here: Path) -> None:
    done = well(translate(here, "single", "--to", "de", "--batch", "2"))
    out = here / "translated" / "single-dictionary"
    assert done.stdout.splitlines()[-1] == "translated/single-dictionary/single-translated.yaml"
    assert read(out / "train-de.jsonl")[:2] == [
        {"id": "train-0", "text": "der Hund bellt 0", "label": "bad"},
        {"id": "train-1", "text": "der Hund bellt 1", "label": "good"},
    ]
    # The source's own language is there unchanged, with the same ids.
    assert read(out / "train-en.jsonl")[1] == {"id": "train-1", "text": "the dog barks 1", "label": "good"}
    for split, size in (("train", 6), ("dev", 4)):
        ids = [[row["id"] for row in read(out / f"{split}-{code}.jsonl")] for code in ("en", "de")]
        assert ids[0] == ids[1] and len(ids[0]) == size
    assert not list(out.glob("test-*"))
    spec = find("single-translated", out)
    assert spec.parallel and spec.languages == ("en", "de") and spec.same_task == ("single",)
    assert spec.derived_from == {"train": {"single": ("train",)}, "dev": {"single": ("dev",)}}
    assert data.load(spec, "translated", "de", "dev")[0].texts == ("der Katze schläft 0",)


def test_pairs_with_blank_texts_and_repeated_ids(here: Path) -> None:
    well(translate(here, "pairs.yaml", *DE, "--out", "out"))
    assert read(here / "out" / "train-de.jsonl") == [
        {"id": "a", "text": "Der Hund bellt", "text_pair": "der Katze", "label": "other"},
        {"id": "b", "text": "Der Hund bellt", "text_pair": "", "label": "same"},
        {"id": "a~2", "text": "der Garten", "text_pair": "in der Garten", "label": "same"},
    ]
    assert provenance(here / "out")["repeated_ids"] == {"train": 1}
    spec = find("pairs-translated", here / "out")
    # What the task says of its items holds of their translations.
    assert spec.derived_from["train"] == {"pairs": ("train",), "paws-x": ("dev",)}
    assert spec.same_task == ("pairs", "paws-x")
    # Each distinct text is asked for once: "The dog barks" stands in two items.
    assert len(read(here / "out" / "journal" / "en-de.jsonl")) == 1 + 4


def test_labels_of_a_file(here: Path) -> None:
    (here / "data" / "labels.txt").write_text("bad\ngood\n")
    path = here / "single.yaml"
    path.write_text(path.read_text().replace("labels: [bad, good]", "label_file: labels.txt"))
    well(translate(here, "single", *DE, "--out", "out"))
    spec = find("single-translated", here / "out")
    assert spec.label_file == "labels.txt" and [one.labels for one in data.load(spec, "translated", "de", "dev")] == [
        (0,),
        (1,),
        (0,),
        (1,),
    ]


def test_scores(here: Path) -> None:
    well(translate(here, "related", *DE, "--out", "out"))
    assert read(here / "out" / "dev-de.jsonl")[0] == {
        "id": "dev-0",
        "text": "der Hund",
        "text_pair": "der Katze",
        "score": 1.25,
    }
    found = data.load(find("related-translated", here / "out"), "translated", "de", "train")
    assert [one.score for one in found] == [1.25, 5.0]  # type: ignore[attr-defined]


def test_choices(here: Path) -> None:
    (here / "words.json").write_text(json.dumps({"dog": "Tier", "cat": "Tier", "garden": "Garten"}))
    well(translate(here, "choices", *DE, "--out", "out"))
    assert read(here / "out" / "train-de.jsonl") == [
        {"id": "train-1", "context": "the Garten", "choices": ["the Tier", "in"], "label": "first"}
    ]
    assert read(here / "out" / "untranslatable-de.jsonl") == [
        {
            "split": "train",
            "id": "train-0",
            "reason": "two of its choices have one translation",
            "text": "the dog | the cat",
        }
    ]
    assert provenance(here / "out")["in_all_languages"] == {"train": 1}


@pytest.mark.parametrize(("marks", "how"), [((), "marked"), (("--markers", "none"), "found")])
def test_questions(here: Path, marks: tuple[str, ...], how: str) -> None:
    well(translate(here, "questions", *DE, "--split", "train", "--out", "out", *marks))
    content = json.loads((here / "out" / "train-de.json").read_text(encoding="utf-8"))
    ((paragraph,),) = [one["paragraphs"] for one in content["data"]]
    context = "Der Hund bellt laut. Der Katze schläft in der Garten 😀, und der Hund bellt."
    assert paragraph["context"] == context
    answers = {one["id"]: [(a["text"], a["answer_start"]) for a in one["answers"]] for one in paragraph["qas"]}
    last = context.rindex("der Hund")
    assert answers == {
        "dog-barks-12345678": [("Der Hund", 0)],
        "second-dog-1234567": [("der Hund", last)],
        "end-of-it-12345678": [("bellt", last + 9)],
        "nobody-12345678901": [],
    }
    told = provenance(here / "out")
    assert told["counts"]["de"]["train"]["spans"] == {how: 3, "no answer": 1}
    assert told["arguments"]["markers"] == ([] if marks else [["⟦", "⟧"], ["[[", "]]"], ["{{", "}}"]])
    spec = find("questions-translated", here / "out")
    for one in data.load(spec, "translated", "de", "train"):
        for answer in one.answers:  # type: ignore[attr-defined]
            assert one.context[answer.start :].startswith(answer.text)  # type: ignore[attr-defined]


def test_an_embedded_task_and_its_items(here: Path) -> None:
    out = here / "out"
    well(translate(here, "place-match", *DE, "--limit", "20", "--split", "dev", "--from", "fi", "--out", out,
                   engine=program(here)))  # fmt: skip
    kept = {row["id"] for row in read(out / "dev-de.jsonl")}
    again = here / "again"
    well(translate(here, "place-match", *DE, "--limit", "5", "--split", "dev", "--from", "fi", "--out", again,
                   engine=program(here)))  # fmt: skip
    assert len(kept) == 20 and {row["id"] for row in read(again / "dev-de.jsonl")} < kept
    assert all(row["text"].endswith(" [fi>de]") for row in read(out / "dev-de.jsonl"))


# What is refused


def test_a_kind_whose_rows_lack_its_fields_is_refused(here: Path) -> None:
    """As one of another package that derives from a kind of this one and reads other columns."""

    class Contrasts(MultipleChoice):
        __slots__ = ()
        required = ("good", "bad")  # type: ignore[assignment]

    spec: Any = SimpleNamespace(name="contrasts", kind=Contrasts(), labels=("first", "second"))
    asked: Any = SimpleNamespace(spec=spec)
    with pytest.raises(TranslationError, match="does not say how its field 'good' is written"):
        layout.columns(asked, ChoiceExample("a", "", ("x", "y"), 0))


@pytest.mark.parametrize(
    ("task", "arguments", "told"),
    [
        ("tags", DE, "(tagging) is not translated: each word has a label"),
        ("plain", DE, "(masked-lm) is not translated: text to learn a language from"),
        ("tatoeba", DE, "(retrieval) is not translated: nothing is trained on what is retrieved"),
        ("single", (*DE, "--split", "test"), "test items are not translated: whoever learns from them"),
        ("single", (*DE, "--split", "dev,tests"), "--split tests: there are train and dev"),
        ("pairs", (*DE, "--split", "dev"), "has no dev data in 'en'"),
        ("single", ("--to", "en"), "go through another with --via LANG"),
        ("single", (*DE, "--via", "en"), "--via en is the language that is translated from"),
        ("single", ("--to", "de,German!"), "--to: 'German!' is no code of a language"),
        ("single", (*DE, "--via", "all"), "--via: 'all' is no code of a language"),
        ("single", (*DE, "--from", "sw"), "has no language 'sw' (known: en)"),
        ("single", (*DE, "--source", "locl"), "has no source 'locl' (did you mean 'local'?)"),
        ("singel", DE, "no task 'singel'"),
        ("nowhere/single.yaml", DE, "nowhere/single.yaml: no such file"),
        ("single", (*DE, "--out", "words.json"), "words.json is a file"),
        ("single", (*DE, "--out", "data"), "data has other files in it"),
        ("single", (*DE, "--out", "a{language}"), "cannot name a directory with '{' in it"),
        ("single", (*DE, "--beams", "2"), "--beams is no option of the engine dictionary"),
        ("single", (*DE, "--engine", "command:no-such-program -x"), "there is no program 'no-such-program'"),
        ("single", ("--to", "sw"), "words.json: has no words from en to sw"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_nothing(
    here: Path, task: str, arguments: tuple[str, ...], told: str
) -> None:
    before = {path.relative_to(here) for path in here.rglob("*")}
    done = translate(here, task, *arguments)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr
    assert {path.relative_to(here) for path in here.rglob("*")} == before


def test_a_translation_that_no_task_could_describe_is_refused_first(here: Path) -> None:
    path = here / "questions.yaml"
    path.write_text(path.read_text().replace("squad_f1", "mlqa_f1"))
    (here / "words.json").write_text(json.dumps({"dog": "mbwa"}))
    done = translate(here, "questions", "--to", "sw", "--out", "out")
    assert done.returncode == 2 and "mlqa_f1 has no rules for the language 'sw'" in done.stderr
    assert not (here / "out").exists()


@pytest.mark.parametrize("marks", ["<a>", "<a>,<a>", "x,xx", ",b"])
def test_marks_that_are_none(here: Path, marks: str) -> None:
    done = translate(here, "questions", *DE, "--markers", marks)
    assert done.returncode == 2 and "should be two marks that differ" in done.stderr


@pytest.mark.parametrize("codes", ["de", "de=", "de=a,de=b"])
def test_codes_that_are_none(here: Path, codes: str) -> None:
    done = translate(here, "single", *DE, "--codes", codes)
    assert done.returncode == 2 and "should be LANG=CODE" in done.stderr


def test_a_row_that_cannot_be_read_is_named(here: Path) -> None:
    path = here / "data" / "single-train.tsv"
    path.write_text(path.read_text() + "the dog\tgodo\n")
    done = translate(here, "single", *DE)
    assert done.returncode == 2 and "single-train.tsv:7: unknown label 'godo'" in done.stderr


# Left out


def _half_of_them(here: Path) -> str:
    """A program that refuses its third text."""
    return program(here, "refuses")


def test_what_is_untranslatable_is_listed_and_told(here: Path) -> None:
    done = well(translate(here, "single", "--to", "de,sw", "--split", "train", "--out", "out",
                          engine=_half_of_them(here)))  # fmt: skip
    out = here / "out"
    assert [row["id"] for row in read(out / "train-de.jsonl")] == [
        "train-0",
        "train-1",
        "train-3",
        "train-4",
        "train-5",
    ]
    assert read(out / "untranslatable-de.jsonl") == [
        {"split": "train", "id": "train-2", "reason": "the program says: 'too rude'", "text": "the dog barks 2"}
    ]
    assert len(read(out / "train-sw.jsonl")) == 6 and read(out / "untranslatable-sw.jsonl") == []
    assert len(read(out / "train-en.jsonl")) == 6
    assert "Items that all languages have: 5 of train." in done.stdout


def test_all_languages_may_have_the_same_items(here: Path) -> None:
    well(translate(here, "single", "--to", "de,sw", "--split", "train", "--out", "out", "--same-items",
                   engine=_half_of_them(here)))  # fmt: skip
    out = here / "out"
    ids = [[row["id"] for row in read(out / f"train-{code}.jsonl")] for code in ("en", "de", "sw")]
    assert ids[0] == ids[1] == ids[2] == ["train-0", "train-1", "train-3", "train-4", "train-5"]
    (left,) = read(out / "untranslatable-sw.jsonl")
    assert (left["id"], left["reason"]) == ("train-2", "untranslatable into de (--same-items)")
    assert provenance(out)["counts"]["en"]["train"]["left_out"] == 1


def test_a_language_into_which_nothing_goes_is_left_out_of_the_task(here: Path) -> None:
    (here / "words.json").write_text(json.dumps({"en-de": tasks.WORDS, "en-sw": {"the": "", "cat": "", "dog": ""}}))
    rows = here / "data" / "single-train.tsv"
    rows.write_text("the dog\tgood\nthe cat\tbad\n")
    done = translate(here, "single", "--to", "de,sw", "--split", "train", "--out", "out")
    assert done.returncode == 1 and "nothing could be translated into sw" in done.stderr
    assert find("single-translated", here / "out").languages == ("en", "de")
    assert len(read(here / "out" / "untranslatable-sw.jsonl")) == 2
    done = translate(here, "single", "--to", "sw", "--split", "train", "--out", "other")
    assert done.returncode == 2 and "see untranslatable-sw.jsonl" in done.stderr
    assert provenance(here / "other")["lacking"] == ["sw"]


# Through another language


def test_back_translation_has_both_as_sources(here: Path) -> None:
    well(translate(here, "single", "--to", "en", "--via", "de", "--split", "train", "--out", "out"))
    spec = find("single-translated", here / "out")
    assert spec.languages == ("en",) and list(spec.sources) == ["translated", "original"]
    texts = {name: [one.text for one in data.load(spec, name, "en", "train")] for name in spec.sources}  # type: ignore[attr-defined]
    assert texts["translated"][0] == "der hound bellt 0" and texts["original"][0] == "the dog barks 0"
    told = provenance(here / "out")
    assert list(told["engine"]["directions"]) == ["en-de", "de-en"]
    assert set(told["counts"]) == {"en", "en via de"}


def test_any_language_may_be_reached_through_another(here: Path) -> None:
    well(translate(here, "single", "--to", "sw,de,en", "--via", "de", "--split", "train", "--out", "out",
                   engine=program(here)))  # fmt: skip
    first = {code: read(here / "out" / f"train-{code}.jsonl")[0]["text"] for code in ("sw", "de", "en")}
    assert first == {
        "sw": "the dog barks 0 [en>de] [de>sw]",
        "de": "the dog barks 0 [en>de]",
        "en": "the dog barks 0 [en>de] [de>en]",
    }
    assert sorted(path.name for path in (here / "out" / "journal").glob("*.jsonl")) == [
        "de-en.jsonl",
        "de-sw.jsonl",
        "en-de.jsonl",
    ]
