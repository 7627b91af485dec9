"""`adapterx translate`, through the real command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapterx.tasks import data
from adapterx.tasks.catalog import find
from tests.backbones.checkpoints import save
from tests.support import markdown
from tests.support.command import ROOT, Done, adapterx, start
from tests.translate import tasks
from tests.translate.engines import command as program
from tests.translate.tasks import read, translate

DE = ("--to", "de")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with tasks and a dictionary."""
    monkeypatch.setenv("ADAPTERX_DATA", str(tmp_path / "here" / "data"))
    yield tasks.make(tmp_path / "here")


def well(done: Done) -> Done:
    assert done.returncode == 0, done.stderr
    return done


def provenance(folder: Path) -> Any:
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))


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


# Going on


def test_a_program_that_fails_loses_nothing(here: Path) -> None:
    noted = here / "noted"
    failed = translate(here, "single", *DE, "--split", "train", "--out", "out", "--batch", "4",
                       engine=program(here, "dies", noted))  # fmt: skip
    assert failed.returncode == 2 and "ended with exit code 7" in failed.stderr
    # The rest of its first batch is lost.
    assert "what was translated is kept in out (2 texts by this call): run the same command to go on" in failed.stderr
    assert not (here / "out" / "train-de.jsonl").exists()
    asked = [json.loads(line)["text"] for line in noted.read_text().splitlines()]
    noted.unlink()
    # The program is mended, and its command stays the same.
    mended = (here / "program.py").read_text().replace('how == "dies"', 'how == "dies no more"')
    (here / "program.py").write_text(mended)
    engine = f"command:{sys.executable} {here / 'program.py'} dies {noted}"
    well(translate(here, "single", *DE, "--split", "train", "--out", "out", "--batch", "4", engine=engine))
    again = [json.loads(line)["text"] for line in noted.read_text().splitlines()]
    assert asked[:2] == ["the dog barks 0", "the dog barks 1"]
    assert again == [f"the dog barks {number}" for number in range(2, 6)]
    assert len(read(here / "out" / "train-de.jsonl")) == 6


def test_a_second_call_asks_the_engine_nothing_and_languages_and_splits_may_be_added(here: Path) -> None:
    noted = here / "noted"
    engine = program(here, "plain", noted)
    well(translate(here, "single", *DE, "--split", "train", "--out", "out", engine=engine))
    files = {path.name: path.read_bytes() for path in (here / "out").glob("train-*")}
    assert len(noted.read_text().splitlines()) == 6
    well(translate(here, "single", *DE, "--split", "train", "--out", "out", engine=engine))
    assert len(noted.read_text().splitlines()) == 6
    assert {path.name: path.read_bytes() for path in (here / "out").glob("train-*")} == files
    well(translate(here, "single", "--to", "de,sw", "--out", "out", engine=engine))
    assert len(noted.read_text().splitlines()) == 6 + 4 + 6 + 4


def test_the_directory_of_another_engine_or_of_other_data_is_refused_by_name(here: Path) -> None:
    arguments = (*DE, "--split", "train", "--out", "out")
    well(translate(here, "single", *arguments))
    other = translate(here, "single", *arguments, engine=program(here))
    assert other.returncode == 2
    assert (
        "en-de.jsonl holds translations of another engine: engine is 'dictionary' there and 'command' now"
        in other.stderr
    )
    (here / "words.json").write_text(json.dumps({"dog": "Köter"}))
    assert "words is '" in translate(here, "single", *arguments).stderr
    other = translate(here, "pairs", *arguments)
    assert "out/journal holds translations of other data: task is 'single' there and 'pairs' now" in other.stderr
    rows = here / "data" / "single-train.tsv"
    rows.write_text(rows.read_text() + "the dog\tgood\n")
    other = translate(here, "single", *arguments)
    assert other.returncode == 2 and "of other data: splits.train is" in other.stderr


def _begun(here: Path) -> subprocess.Popen[str]:
    """A call whose program answers two texts and keeps silent then, in a process of its own."""
    noted = here / "noted"
    engine = program(here, "silent", noted)
    started = start(
        *("translate", here / "single.yaml", "--engine", engine, *DE, "--split", "train", "--batch", "1"),
        *("--out", here / "out"),
    )
    for _ in range(600):
        if noted.exists() and len(noted.read_text().splitlines()) == 3:
            break
        time.sleep(0.05)
    return started


def _translated(here: Path) -> list[str]:
    return [row["text"] for row in read(here / "out" / "journal" / "en-de.jsonl")[1:]]


def test_ctrl_c_keeps_what_was_translated(here: Path) -> None:
    started = _begun(here)
    started.send_signal(signal.SIGINT)
    told, _ = started.communicate(timeout=30)
    assert started.returncode == 130
    kept = f"what was translated is kept in {here / 'out'} (2 texts by this call)"
    assert f"interrupted; {kept}; run again to go on" in told
    assert _translated(here) == ["the dog barks 0 [en>de]", "the dog barks 1 [en>de]"]
    assert not (here / "out" / "train-de.jsonl").exists()


def test_a_killed_call_goes_on_where_it_was(here: Path) -> None:
    started = _begun(here)
    started.kill()
    started.communicate(timeout=30)
    assert len(_translated(here)) == 2
    path, noted = here / "program.py", here / "noted"
    path.write_text(path.read_text().replace('how == "silent"', 'how == "silent no more"'))
    noted.unlink()
    engine = f"command:{sys.executable} {path} silent {noted}"
    arguments = (*DE, "--split", "train", "--batch", "1", "--out", here / "out")
    well(translate(here, here / "single.yaml", *arguments, engine=engine))
    assert len(noted.read_text().splitlines()) == 4 and len(_translated(here)) == 6
    assert len(read(here / "out" / "train-de.jsonl")) == 6


# Programs, and what follows


def test_the_page_shows_what_comes_out(tmp_path: Path) -> None:
    page = markdown.read(ROOT / "docs" / "how-to" / "translate.md")
    (first, told, recipe), lines = page.blocks[:3], page.blocks[0].text.splitlines()
    subprocess.run(["/bin/sh", "-c", lines[0]], cwd=tmp_path, check=True)
    done = well(adapterx(*lines[1].split()[1:], cwd=tmp_path))
    assert [line.rstrip() for line in done.stdout.splitlines()] == told.text.splitlines()
    assert first.language == "sh" and lines[2:] == [
        "cd made",
        "adapterx tasks show place-match-translated --language de -n 2",
    ]
    (tmp_path / "made" / "arms.yaml").write_text(recipe.text)
    plan = json.loads(well(adapterx("plan", "arms.yaml", "--json", cwd=tmp_path / "made")).stdout)
    assert len(plan["cells"]) == 4 and not any(cell["refused"] for cell in plan["cells"])


def test_programs_are_told_in_json(here: Path) -> None:
    told = json.loads(well(translate(here, "questions", *DE, "--split", "dev", "--out", "out", "--json")).stdout)
    assert told["task"] == "out/questions-translated.yaml" and told["adapterx_translate"] == 1
    assert told["counts"]["de"]["dev"]["written"] == 4 and told["counts"]["de"]["dev"]["spans"]["marked"] == 3
    assert told["engine"]["directions"]["en-de"]["file"] == "words.json"
    failed = translate(here, "single", *DE, "--out", "data", "--json")
    assert failed.returncode == 2
    assert json.loads(failed.stdout) == {
        "error": {"type": "TranslationError", "message": failed.stderr.rstrip("\n"), "where": "data", "hint": None}
    }


def test_what_provenance_says(here: Path) -> None:
    well(translate(here, "single", *DE, "--limit", "3", "--sample", "first", "--out", "out"))
    told = provenance(here / "out")
    spec = find("single", here)
    assert told["data"] == {
        "task": "single",
        "source": "local",
        "language": "en",
        "splits": {split: data.fingerprint(spec, "local", {split: ["en"]}) for split in ("train", "dev")},
        "format": "pair-classification",
    }
    assert told["arguments"]["limit"] == {"items": 3, "sample": "first"}
    assert told["counts"]["de"]["train"] == {
        "items": 3,
        "written": 3,
        "untranslatable": 0,
        "left_out": 0,
        "texts": 3,
        "unchanged": 0,
        "other_script": 0,
    }
    assert told["started"] <= told["finished"] and told["adapterx"]


def test_copies_and_other_scripts_are_counted(here: Path) -> None:
    (here / "words.json").write_text(json.dumps({"dog": "пёс", "barks": "лает"}))
    rows = here / "data" / "single-train.tsv"
    rows.write_text("the dog\tgood\nthe cat\tbad\nthe dog\tbad\ndog barks\tgood\n")
    well(translate(here, "single", *DE, "--split", "train", "--out", "out"))
    count = provenance(here / "out")["counts"]["de"]["train"]
    assert (count["texts"], count["unchanged"], count["other_script"]) == (3, 1, 1)


def test_files_below_the_data_directory_are_named_as_seen_from_it(here: Path) -> None:
    well(translate(here, "single", *DE, "--split", "train", "--out", "data/made"))
    assert "paths: made/train-{language}.jsonl" in (here / "data/made/single-translated.yaml").read_text()
    assert len(data.load(find("single-translated", here / "data/made"), "translated", "de", "train")) == 6


RECIPE = """\
adapterx: 1
name: arms
backbones: {small: embedded/e5-small@2}
methods: {lora: {kind: lora, rank: 2}}
intermediates:
  none: null
  english: {tasks: single-translated, languages: [en]}
  german: {tasks: single-translated, languages: [de]}
targets: {sight: {task: other}, places: {task: place-match}}
train: {steps: 1, batch_size: 4, max_length: 16}
evaluate: {}
"""


def test_the_written_task_is_shown(here: Path) -> None:
    backbone = save(here / "backbone")
    well(translate(here, "questions", *DE, "--out", "out"))
    shown = well(
        tasks.command(
            here / "out",
            *("tasks", "show", "questions-translated", "--language", "de", "-n", "1", "--backbone", backbone),
        )
    ).stdout
    assert "questions-translated · extractive-qa · de · train (translated) · 4 examples" in shown
    assert "dog-barks-12345678  Der Hund" in shown


def test_the_written_task_is_planned_and_known_as_what_it_translates(here: Path) -> None:
    well(translate(here, "single", *DE, "--out", "out"))
    (here / "other.yaml").write_text(
        (here / "single.yaml")
        .read_text()
        .replace("name: single", "name: other\nsame_task: [single]")
        .replace("dev: {paths: single-dev.tsv}, test: {paths: single-dev.tsv}", "test: {paths: other.tsv}")
    )
    tasks.rows("other.tsv", [f"a bird {number} sings of it\tgood" for number in range(4)], here / "data")
    # The YAML may lie beside any recipe: it names its files in full.
    (here / "out" / "single-translated.yaml").rename(here / "single-translated.yaml")
    (here / "arms.yaml").write_text(RECIPE)
    plan = json.loads(well(tasks.command(here, "plan", "arms.yaml", "--json")).stdout)
    assert [cell["refused"] for cell in plan["cells"]] == [None] * 6
    # `other` asks what `single` asks, whose translation is what the intermediate learns.
    same = {(one["cell"]["intermediate"], one["cell"]["target"]): one["target_training"] for one in plan["cells"]}
    assert same[("german", "sight")] and not same[("german", "places")] and not same[("none", "sight")]
    learnt = [stage["settings"]["tasks"] for stage in plan["stages"] if stage["kind"] == "intermediate"]
    assert [one["single-translated"]["languages"] for one in learnt] == [["en"], ["de"]]


def test_what_a_translation_is_made_of_is_not_tested_after_it(here: Path) -> None:
    """The items' source is declared, so that a translation of what is scored is refused as the items would be."""
    well(translate(here, "single", *DE, "--split", "train", "--out", "out"))
    (here / "other.yaml").write_text(
        (here / "single.yaml").read_text().replace("name: single", "name: other\nderived_from: {test: {single: train}}")
    )
    (here / "out" / "single-translated.yaml").rename(here / "single-translated.yaml")
    (here / "arms.yaml").write_text(RECIPE)
    plan = json.loads(tasks.command(here, "plan", "arms.yaml", "--json").stdout)
    refused = {(one["cell"]["intermediate"], one["cell"]["target"]): one["refused"] for one in plan["cells"]}
    assert "both hold items of single's train split" in refused["german", "sight"]
    assert refused["german", "places"] is None
