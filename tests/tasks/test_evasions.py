"""Test items that come in as training or dev data under another name, another language or another shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from adapterx import places
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.contamination import Relations
from adapterx.tasks.contents import Contents
from adapterx.tasks.examples import Example
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds.extractive_qa import QAExample
from adapterx.tasks.kinds.pair_classification import PairExample

SUBJECTS = [
    "baker",
    "sailor",
    "gardener",
    "tailor",
    "painter",
    "miner",
    "singer",
    "dancer",
    "farmer",
    "potter",
    "weaver",
    "doctor",
]
VERBS = [
    "sold",
    "found",
    "broke",
    "moved",
    "lifted",
    "painted",
    "washed",
    "carried",
    "traded",
    "buried",
    "borrowed",
    "measured",
]
THINGS = [
    "lamps",
    "barrels",
    "mirrors",
    "ladders",
    "kettles",
    "baskets",
    "anchors",
    "hammers",
    "candles",
    "blankets",
    "bottles",
    "pianos",
]
PLACES = [
    "behind the mill",
    "near the harbour",
    "under the bridge",
    "outside the town",
    "beside the lake",
    "above the shop",
]
GERMAN = str.maketrans("aeioudnrst", "eiouatrnds")  # other words with other letters: no translation, but as foreign


def premise(number: int) -> str:
    return (
        f"The {SUBJECTS[number % 12]} {VERBS[number // 12 % 12]} {number + 3} {THINGS[number * 5 % 12]}"
        f" {PLACES[number % 6]} on day {number * 7 % 31} while {SUBJECTS[number * 3 % 12]} {number * 11 % 97} slept."
    )


def hypothesis(number: int) -> str:
    return f"Somebody {VERBS[number * 7 % 12]} {number + 3} {THINGS[number * 5 % 12]} that day."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A benchmark, parallel in two languages, whose test set is in files of the data directory."""
    monkeypatch.setenv(places.DATA, str(tmp_path))
    for language, translate in (("en", str), ("de", lambda text: text.translate(GERMAN))):
        lines = [f"{translate(premise(n))}\t{translate(hypothesis(n))}\tyes\n" for n in range(200)]
        (tmp_path / f"test-{language}.tsv").write_text("".join(lines))
        dev = [f"{translate(premise(n))}\t{translate(hypothesis(n))}\tno\n" for n in range(900, 950)]
        (tmp_path / f"dev-{language}.tsv").write_text("".join(dev))
    pairs(tmp_path, "benchmark", {"test": "test-{language}.tsv", "dev": "dev-{language}.tsv"}, ["en", "de"])
    return tmp_path


def pairs(here: Path, name: str, splits: dict[str, str], languages: list[str], **more: Any) -> None:
    columns = {"text": 0, "text_pair": 1, "label": 2} if "columns" not in more else more.pop("columns")
    source = {"kind": "local", "reader": "tsv", "columns": columns}
    source["splits"] = {split: {"paths": path} for split, path in splits.items()}
    content = {
        "adapterx": 1, "name": name, "description": "d", "format": "pair-classification", "labels": ["no", "yes"],
        "metrics": ["accuracy"], "languages": languages, "parallel": len(languages) > 1, "licence": "mine",
        "sources": {"local": source}, **more,
    }  # fmt: skip
    (here / f"{name}.yaml").write_text(json.dumps(content))


def part(name: str, *languages: str, beside: Path | None) -> TaskPart:
    spec = find(name, beside)
    return TaskPart(name, spec.format, spec.labels, "local", languages, "", spec.tokens)


def leak(here: Path, *languages: str, split: str = "train", scored: tuple[str, ...] = ("en", "de")) -> str:
    used, tested = part("mine", *languages, beside=here), part("benchmark", *scored, beside=here)
    return Relations(Contents(here))(used, tested, split).leak or ""


def write(here: Path, lines: Iterable[str]) -> None:
    (here / "mine.tsv").write_text("".join(f"{line}\n" for line in lines))


def test_the_benchmark_s_own_dev_split_is_let_pass(here: Path) -> None:
    own = part("benchmark", "en", beside=here)
    assert Relations(Contents(here))(own, own, "dev").leak is None


def test_a_translation_declared_to_be_english(here: Path) -> None:
    (here / "mine.tsv").write_bytes((here / "test-de.tsv").read_bytes())
    pairs(here, "mine", {"train": "mine.tsv"}, ["en"])
    assert "200 of the 200 test items of 'benchmark' in de are also training items of 'mine'" in leak(here, "en")
    assert leak(here, "en", scored=("en",)), "the same items are scored in English"


TEMPLATES: dict[str, Callable[[int], str]] = {
    "a pair as one text": lambda n: f"premise: {premise(n)} hypothesis: {hypothesis(n)} true or false?\tyes",
    "a prefix": lambda n: f"Consider this. {premise(n)}\tyes",
    "no full stops": lambda n: f"{premise(n).replace('.', '')}\tyes",
    "upper case": lambda n: f"{premise(n).upper()}\tyes",
    "half of the pair": lambda n: f"{premise(n)}\tyes",
    "a pair turned round": lambda n: f"{hypothesis(n)} {premise(n)}\tyes",
    "cut after fourteen words": lambda n: f"{' '.join(premise(n).split()[:14])}\tyes",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_test_items_in_another_shape(here: Path, template: str) -> None:
    write(here, map(TEMPLATES[template], range(200)))
    pairs(here, "mine", {"train": "mine.tsv"}, ["en"], columns={"text": 0, "label": 1})
    assert "of the 200 test items of 'benchmark' in en have half of their words, or 13 in a row" in leak(here, "en")


def test_other_items_of_the_same_kind_are_no_leak(here: Path) -> None:
    write(here, (f"{premise(n)}\t{hypothesis(n)}\tyes" for n in range(200, 400)))
    pairs(here, "mine", {"train": "mine.tsv"}, ["en"])
    assert leak(here, "en") == ""


def test_text_to_learn_from_holds_test_items(here: Path) -> None:
    write(here, (premise(n) for n in range(200)))
    content = {
        "adapterx": 1, "name": "mine", "description": "d", "format": "masked-lm", "languages": ["en"], "licence": "m",
        "sources": {"local": {"kind": "local", "reader": "text", "columns": {"text": "text"},
                              "splits": {"train": {"paths": "mine.tsv"}}}},
    }  # fmt: skip
    (here / "mine.yaml").write_text(json.dumps(content))
    assert "in en have half of their words, or 13 in a row, in training items of 'mine'" in leak(here, "en")


def test_dev_data_made_of_test_items(here: Path) -> None:
    write(here, (f"{premise(n)}\t{hypothesis(n)}\tyes" for n in range(500, 600)))
    pairs(here, "mine", {"train": "mine.tsv", "dev": "test-en.tsv"}, ["en"])
    assert leak(here, "en") == ""
    assert leak(here, "en", split="dev").startswith(
        "choosing by the dev data of 'mine' leaks into the test set of 'benchmark': 200 of the 200 test items of"
        " 'benchmark' in en are also dev items of 'mine'"
    )


def test_a_catalogue_s_name_over_another_task_s_files_on_the_hub(here: Path) -> None:
    """`sick.yaml` beside a recipe is not the catalogue's SICK, so what it reads is looked up."""
    source = {
        "kind": "hub", "dataset": "facebook/xnli", "config": "{language}",
        "columns": {"text": "premise", "text_pair": "hypothesis", "label": "label"}, "splits": {"train": "test"},
    }  # fmt: skip
    content = {
        "adapterx": 1, "name": "sick", "description": "d", "format": "pair-classification",
        "labels": ["entailment", "neutral", "contradiction"], "metrics": ["accuracy"], "languages": ["en"],
        "licence": "mine", "sources": {"hub": source},
    }  # fmt: skip
    (here / "sick.yaml").write_text(json.dumps(content))
    spec = find("xnli")
    scored = TaskPart("xnli", spec.format, spec.labels, "hub", ("de",), "", spec.tokens)
    used = TaskPart("sick", spec.format, spec.labels, "hub", ("en",), "", spec.tokens)
    found = Relations(Contents(here))(used, scored, "train").leak
    assert found is not None and "both hold items of xnli's test split (the same files on the Hub)" in found


def rewritten(here: Path, name: str, examples: Iterable[Example], whole: bool = True) -> None:
    """Questions about the sentence of the answer, as a file of SQuAD's layout, under new ids.

    Args:
        whole: whether questions are kept whose passage is one sentence.
    """
    paragraphs = []
    for number, one in enumerate(examples):
        assert isinstance(one, QAExample) and one.answers
        answer = one.answers[0]
        start = max(one.context.rfind(".", 0, answer.start) + 1, 0)
        end = one.context.find(".", answer.start + len(answer.text))
        sentence = one.context[start : end + 1 if end >= 0 else None]
        if not whole and sentence == one.context:
            continue
        found = {"text": answer.text, "answer_start": answer.start - start}
        question = {"id": f"new-{number}", "question": one.question, "answers": [found]}
        paragraphs.append({"context": sentence, "qas": [question]})
    (here / f"{name}.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    source = {
        "kind": "local",
        "reader": "squad",
        "columns": {},
        "splits": {"train": {"paths": str(here / f"{name}.json")}},
    }
    content = {
        "adapterx": 1, "name": name, "description": "d", "format": "extractive-qa", "metrics": ["squad_f1"],
        "languages": ["en"], "licence": "mine", "sources": {"local": source},
    }  # fmt: skip
    (here / f"{name}.yaml").write_text(json.dumps(content))


@pytest.mark.usefixtures("benchmarks")
def test_real_test_sets_in_disguise(tmp_path: Path) -> None:
    """SQuAD's dev set cut to the sentences of the answers; XQuAD and MLQA in a language not declared or not scored."""
    relations = Relations(Contents(tmp_path))
    rewritten(tmp_path, "cut", data.stream(find("squad"), "local", "en", "test"), whole=False)
    cut = part("cut", "en", beside=tmp_path)
    assert "in en have half of their words, or 13 in a row" in str(
        relations(cut, part("xquad", "de", beside=None)).leak
    )
    rewritten(tmp_path, "german", list(data.stream(find("xquad"), "local", "de", "test"))[:600])
    assert relations(part("german", "en", beside=tmp_path), part("xquad", "en", beside=None)).leak
    rewritten(tmp_path, "partly", data.stream(find("mlqa"), "local", "en", "test"))
    assert relations(part("partly", "en", beside=tmp_path), part("mlqa", "de", beside=None)).leak


@pytest.mark.usefixtures("benchmarks")
def test_real_pairs_as_one_text(tmp_path: Path) -> None:
    spec = find("xnli")
    lines = []
    for one in data.stream(spec, "local", "de", "test"):
        assert isinstance(one, PairExample)
        lines.append(f"{one.text.rstrip('.')} [SEP] {one.text_pair}\tyes")
    write(tmp_path, (line.replace("\n", " ") for line in lines))
    pairs(tmp_path, "mine", {"train": str(tmp_path / "mine.tsv")}, ["en"], columns={"text": 0, "label": 1})
    assert Relations(Contents(tmp_path))(part("mine", "en", beside=tmp_path), part("xnli", "sw", beside=None)).leak
