"""The catalog's entries on the Hub, against files of each dataset's documented schema.

Identifiers, configurations, splits and columns are those by which public evaluation harnesses read the datasets
(EleutherAI/lm-evaluation-harness and huggingface/lighteval: `dataset_path` / `hf_repo` of the tasks of these names).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adapterx.tasks.catalog import find, names
from adapterx.tasks.sources.hub.spec import HubSource
from tests.support.hub import serve
from tests.tasks.hub_tasks import CONVERSION, ask, parquet

PAIR = {"sentence1": "A", "sentence2": "B", "idx": 0}
PREMISE = {"premise": "A", "hypothesis": "B"}
NLI = {**PREMISE, "idx": 0}
COPA = {"premise": "P.", "choice1": "A", "choice2": "B", "question": "cause", "idx": 0}
COSMOS = {"id": "a", "context": "P.", "question": "Q?", **{f"answer{n}": "ABCD"[n] for n in range(4)}}
STORY = {"story_id": "a", **{f"input_sentence_{n}": f"{n}." for n in range(1, 5)}}
READING = {"link": "url", "question_number": 1, "flores_passage": "P.", "question": "Q?"}
SWAG = {
    "ind": 4,
    "activity_label": "Running",
    "ctx_a": "He",
    "ctx_b": "runs",
    "ctx": "He runs",
    "endings": list("ABCD"),
}
CSQA = {"id": "a", "question": "Q?", "choices": {"label": list("ABCDE"), "text": list("abcde")}}
SQUAD = {"title": "T", "context": "Ada wrote it.", "question": "Who?"}
ANSWERS = {"text": ["Ada"], "answer_start": [0]}
SIQA = {"context": "P.", "question": "Q?", "answerA": "A", "answerB": "B", "answerC": "C"}
GOLD = ("train", "validation", "test")

XCSR = {
    "id": "a",
    "lang": "jap",
    "question": {"stem": "Q?", "choices": {"label": list("ABCDE"), "text": list("abcde")}},
}
TEXTS = ("copal-id", "global-piqa", "global-piqa-parallel", "indiccopa", "sib-200")
"""Tasks that read text files, which `test_catalog_texts` has."""

SCHEMAS: dict[str, tuple[str, str, tuple[str, ...], dict[str, Any], str]] = {
    "afrixnli": ("sw", "swa", ("validation", "test"), {**PREMISE, "label": 2}, "contradiction"),
    "americas-nli": ("qu", "quy", ("validation", "test"), {**PREMISE, "label": 0}, "entailment"),
    "anli": ("en", "plain_text", tuple(f"{s}_r{n}" for s in ("train", "dev", "test") for n in (1, 2, 3)),
             {"uid": "u", "premise": "A", "hypothesis": "B", "label": 1, "reason": ""}, "neutral"),
    "balanced-copa": ("en", "default", ("train", "test"), {**COPA, "id": 1, "label": 1, "mirrored": False}, "second"),
    "belebele": ("sw", "swh_Latn", ("test",),
                 {**READING, **{f"mc_answer{n}": "ABCD"[n - 1] for n in range(1, 5)}, "correct_answer_num": "3"},
                 "third"),
    "commonsenseqa": ("en", "default", GOLD, {**CSQA, "answerKey": "E"}, "fifth"),
    "copa": ("en", "copa", ("train", "validation"), {**COPA, "label": 1}, "second"),
    "cosmosqa": ("en", "default", GOLD, {**COSMOS, "label": 2}, "third"),
    "hellaswag": ("en", "default", GOLD, {**SWAG, "label": "3"}, "fourth"),
    "indicxnli": ("or", "or", GOLD, {**PREMISE, "label": 1}, "neutral"),
    "mlqa": ("de", "mlqa.de.de", ("test", "validation"), {**SQUAD, "answers": ANSWERS, "id": "a"}, "Ada"),
    "lingnli": ("en", "default", ("train", "validation"), {**NLI, "label": "neutral"}, "neutral"),
    "m-hellaswag": ("eu", "eu", ("val",), {**SWAG, "id": "hellaswag/validation/1", "label": " 3"}, "fourth"),
    "mnli": ("en", "mnli", ("train", "validation_matched", "validation_mismatched"), {**NLI, "label": 2},
             "contradiction"),
    "mrpc": ("en", "mrpc", GOLD, {**PAIR, "label": 1}, "paraphrase"),
    "pan-x": ("yo", "yo", GOLD, {"tokens": ["A"], "ner_tags": [3], "langs": ["yo"], "spans": []}, "B-ORG"),
    "paws-x": ("ja", "ja", GOLD, {**PAIR, "id": 7, "label": 1}, "paraphrase"),
    "piqa": ("en", "plain_text", GOLD, {"goal": "P", "sol1": "A", "sol2": "B", "label": 1}, "second"),
    "qqp": ("en", "qqp", GOLD, {"question1": "A", "question2": "B", "label": 1, "idx": 0}, "duplicate"),
    "siqa": ("en", "default", ("train", "validation"), {**SIQA, "label": "3\n"}, "third"),
    "squad": ("en", "plain_text", ("train", "validation"), {**SQUAD, "answers": ANSWERS, "id": "a"}, "Ada"),
    "squad-v2": ("en", "squad_v2", ("train", "validation"),
                 {**SQUAD, "answers": {"text": [], "answer_start": []}, "id": "a"}, ""),
    "snli": ("en", "plain_text", GOLD, {"premise": "A", "hypothesis": "B", "label": 0}, "entailment"),
    "tatoeba": ("de", "tatoeba.deu", ("validation",),
                {"source_sentence": "Ja.", "target_sentence": "Yes.", "source_lang": "deu", "target_lang": "eng"}, ""),
    "tydiqa": ("sw", "secondary_task", ("train", "validation"),
               {**SQUAD, "answers": {"text": ["Ada"], "answer_start": [1]}, "id": "swahili-4407-1"}, "Ada"),
    "udpos": ("af", "udpos.Afrikaans", GOLD, {"tokens": ["A"], "pos_tags": [16]}, "X"),
    "wikipedia-text": ("qu", "20231101.qu", ("train",), {"id": "1", "url": "", "title": "A", "text": "B"}, ""),
    "x-codah": ("ja", "X-CODAH-jap", ("validation", "test"),
                {**XCSR, "question_tag": "o", "answerKey": "D",
                 "question": {"stem": " ", "choices": {"label": list("ABCD"), "text": list("abcd")}}}, "fourth"),
    "x-csqa": ("ja", "X-CSQA-jap", ("validation", "test"), {**XCSR, "answerKey": "E"}, "fifth"),
    "xcopa": ("sw", "sw", ("validation", "test"), {**COPA, "label": 1, "changed": False}, "second"),
    "xnli": ("sw", "sw", GOLD, {"premise": "A", "hypothesis": "B", "label": 2}, "contradiction"),
    "xnli-eu": ("eu", "eu", GOLD, {**PREMISE, "label": 2}, "contradiction"),
    "xquad": ("th", "xquad.th", ("validation",), {**SQUAD, "answers": ANSWERS, "id": "a"}, "Ada"),
    "xstorycloze": ("my", "my", ("train", "eval"),
                    {**STORY, "sentence_quiz1": "A", "sentence_quiz2": "B", "answer_right_ending": 2}, "second"),
    "xwinograd": ("ja", "jp", ("test",), {"sentence": "_ is", "option1": "A", "option2": "B", "answer": "2"}, "second"),
}  # fmt: skip
"""By task: a language, its configuration, the dataset's splits, a row, and the label or the answer it means."""
IDS = {
    "m-hellaswag": [f"hellaswag/validation/{n}" for n in range(20)],
    "balanced-copa": [*range(1, 11), *range(1001, 1011)],
}
"""The rows' ids, where they decide about splits."""
FOLDED = ("commonsenseqa", "cosmosqa", "hellaswag", "piqa", "qqp", "siqa")
"""Tasks whose dev split is a share of another's rows."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[tuple[str, str], Any]]:
    """What is loaded of each split of each task."""
    files: dict[str, dict[str, bytes]] = {}
    for name, (_, config, splits, row, _) in SCHEMAS.items():
        for number, split in enumerate(splits):
            own = {**row, **{key: f"{row[key]}{number}" for key in ("uid",) if key in row}}
            ids = IDS.get(name, range(100)) if name in FOLDED or name in IDS else ["a"]
            rows = [{**own, **({"id": id} if "id" in own or name in IDS else {})} for id in ids]
            content = _passages(own) if "answers" in row else rows
            files.setdefault(source(name).dataset, {})[f"{config}/{split}/0000.parquet"] = parquet(content)
    asked = [
        (described(name), "load", "hub", language, split)
        for name, (language, *_) in SCHEMAS.items()
        for split in source(name).splits
    ]
    with serve(tmp_path_factory.mktemp("catalog") / "hub") as hub:
        for dataset, conversion in files.items():
            hub.commit(f"datasets/{dataset}", conversion, CONVERSION)
        found = ask(hub, *asked)
    yield {(spec["name"], split): answer for (spec, *_, split), answer in zip(asked, found, strict=True)}


def _passages(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same question about ten passages, so that every fold has some."""
    return [{**row, "id": f"{row['id']}{n}", "context": f"{row['context']} {n}"} for n in range(10)]


def source(name: str) -> HubSource:
    found = find(name).sources["hub"]
    assert isinstance(found, HubSource)
    return found


def described(name: str) -> dict[str, Any]:
    """The task, of the branch of conversions whatever it pins."""
    found = find(name).model_dump(mode="json", exclude_defaults=True)
    found["sources"]["hub"]["revision"] = CONVERSION
    return found


def test_every_entry_on_the_hub_has_its_schema_here() -> None:
    assert {name for name in names() if "hub" in find(name).sources} == {*SCHEMAS, *TEXTS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_entry_maps_its_documented_schema(name: str, answers: Mapping[tuple[str, str], Any]) -> None:
    spec, (*_, meant) = find(name), SCHEMAS[name]
    for split in source(name).splits:
        found = answers[name, split]
        assert isinstance(found, list), found
        assert found
        if spec.format == "retrieval":
            assert [(one["text"], one["relevant"]) for one in found] == [("Yes.", [0]), ("Ja.", None)]
            continue
        for one in found:
            if spec.format == "extractive-qa":
                assert [(answer["text"], answer["start"]) for answer in one["answers"]] == (
                    [(meant, 0)] if meant else []
                )
                continue
            labels = one.get("tags", [one["label"]] if "label" in one else [])
            assert [spec.labels[label] for label in labels] == [meant] * bool(spec.labels)
            texts = [one[key] for key in ("text", "text_pair", "context") if one.get(key) is not None]
            assert all(text.strip() for text in texts) or (name == "x-codah" and texts == [" "])
            assert len(one.get("choices", spec.labels)) == len(spec.labels)
    if name == "anli":
        assert len(answers[name, "train"]) == 3
    if name in ("squad", "squad-v2", "tydiqa"):
        assert [len(answers[name, split]) for split in ("train", "dev", "test")] == [9, 1, 10]


def test_splits_by_id_keep_an_item_on_one_side(answers: Mapping[tuple[str, str], Any]) -> None:
    """In every language the same items, and a mirrored one beside its original."""
    for name, right in (("m-hellaswag", {9}), ("balanced-copa", {0})):
        train, dev = ({int(one["id"].split("/")[-1]) for one in answers[name, split]} for split in ("train", "dev"))
        assert len(train) == 18 and len(dev) == 2
        assert {id % 10 for id in dev} == right and not right & {id % 10 for id in train}


def test_multilingual_training_data() -> None:
    """Languages that have a training split of their own, by what the YAML says."""
    several = {"xnli": 15, "paws-x": 7, "m-hellaswag": 32, "pan-x": 40, "udpos": 29, "wikipedia-text": 42}
    for name, count in several.items():
        spec, hub = find(name), source(name)
        assert sum(hub.rows(language, "train") is not None for language in spec.languages) == count, name
    tagged = [code for code in find("udpos").languages if source("udpos").rows(code, "test")]
    assert len(tagged) == 33 and all(code in source("udpos").codes for code in tagged)
    assert [code for code in tagged if not source("udpos").rows(code, "dev")] == ["kk", "th", "tl", "yo"]


def test_the_tasks_of_anli_plus_share_their_labels() -> None:
    assert len({find(name).labels for name in ("anli", "mnli", "snli", "lingnli", "xnli")}) == 1
