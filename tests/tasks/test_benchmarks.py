"""The catalog's local entries against the real benchmark files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from adapterx.limits import Limit
from adapterx.tasks.catalog import find
from adapterx.tasks.data import fingerprint, load, sizes
from adapterx.tasks.examples import Split
from adapterx.tasks.kinds.extractive_qa import QAExample
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.retrieval import RetrievalExample

pytestmark = pytest.mark.usefixtures("benchmarks")

UDPOS_TEST = {
    "en": 3974, "af": 194, "ar": 909, "bg": 1115, "de": 19233, "el": 403, "es": 3054, "et": 3125, "eu": 1798,
    "fa": 599, "fi": 3239, "fr": 2903, "he": 484, "hi": 1659, "hu": 441, "id": 559, "it": 2278, "ja": 511, "ko": 3016,
    "lt": 672, "mr": 46, "nl": 1394, "pl": 3960, "pt": 1770, "ro": 2247, "ru": 8108, "ta": 80, "te": 131, "tr": 988,
    "uk": 672, "ur": 552, "vi": 800, "wo": 449, "zh": 1000,
}  # fmt: skip


def labels(task: str, language: str, split: str) -> Counter[str]:
    spec = find(task)
    examples = load(spec, "local", language, split)
    assert len(examples) == sizes(spec, "local", language, split)
    return Counter(spec.labels[label] for example in examples for label in example.labels)


@pytest.mark.parametrize("language", find("xnli").languages)
def test_xnli_is_balanced_in_every_language(language: str) -> None:
    assert labels("xnli", language, "dev") == {"entailment": 830, "neutral": 830, "contradiction": 830}
    assert labels("xnli", language, "test") == {"entailment": 1670, "neutral": 1670, "contradiction": 1670}
    assert sizes(find("xnli"), "local", language, "train") == 0


def test_xnli_reads_its_columns() -> None:
    first, *_ = load(find("xnli"), "local", "en", "dev", limit=Limit(1, "first"))
    assert isinstance(first, PairExample)
    assert first.text == "And he said, Mama, I'm home."
    assert first.text_pair == "He called his mom as soon as the school bus dropped him off."
    assert len(find("xnli").languages) == 15


def test_lingnli_is_labelled_like_xnli() -> None:
    assert find("lingnli").labels == find("xnli").labels
    assert labels("lingnli", "en", "train") == {"entailment": 5995, "neutral": 5995, "contradiction": 5995}
    assert labels("lingnli", "en", "dev") == {"entailment": 1026, "neutral": 976, "contradiction": 940}


def test_no_premise_of_lingnli_is_tested_in_xnli() -> None:
    trained = premises("lingnli", "train")
    for split in ("dev", "test"):
        assert not trained & premises("xnli", split)


def premises(task: str, split: Split) -> set[str]:
    """The first texts of a task's English pairs."""
    pairs = load(find(task), "local", "en", split)
    found = {one.text for one in pairs if isinstance(one, PairExample)}
    assert found
    return found


def test_udpos_has_every_language_and_tag() -> None:
    spec = find("udpos")
    found = {language: sizes(spec, "local", language, "test") for language in spec.languages}
    assert {language: size for language, size in found.items() if size} == UDPOS_TEST
    assert {language for language, size in found.items() if not size} == {"kk", "th", "tl", "yo"}
    tags = {language: labels("udpos", language, "test") for language in UDPOS_TEST}
    assert set(tags["en"]) == set(spec.labels)
    assert tags["en"].most_common(1) == [("NOUN", 11129)]
    assert all(found.most_common(1)[0][0] == "NOUN" for language, found in tags.items() if language != "wo")
    words = {"de": 331835, "ru": 140291, "ta": 1129, "mr": 400, "wo": 9966, "zh": 25326}
    assert {language: tags[language].total() for language in words} == words


def test_udpos_selects_on_english_sentences_that_are_neither_trained_on_nor_tested() -> None:
    spec = find("udpos")
    assert sizes(spec, "local", "en", "train") == 19128
    assert sizes(spec, "local", "en", "dev") == 2125
    ids = [{example.id.split("-")[1] for example in load(spec, "local", "en", split)} for split in ("train", "dev")]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 21253
    assert sizes(spec, "local", "de", "train") == sizes(spec, "local", "de", "dev") == 0


def test_xcopa_items_are_the_same_in_every_language() -> None:
    spec = find("xcopa")
    assert len(spec.languages) == 12
    gold = {split: [(e.id, e.labels) for e in load(spec, "local", "et", split)] for split in ("dev", "test")}
    for language in spec.languages:
        for split, count in (("dev", 100), ("test", 500)):
            examples = load(spec, "local", language, split)
            assert len(examples) == sizes(spec, "local", language, split) == count
            assert [(e.id, e.labels) for e in examples] == gold[split]
    assert labels("xcopa", "en", "train") == {"first": 195, "second": 205}
    assert labels("xcopa", "th", "test") == {"first": 250, "second": 250}


def test_xcopa_asks_the_same_question_in_every_language() -> None:
    spec = find("xcopa")
    for language in spec.languages:
        examples = load(spec, "local", language, "test")
        assert all(isinstance(example, ChoiceExample) for example in examples)
        effects = [e.context.endswith(" What happened as a result?") for e in examples if isinstance(e, ChoiceExample)]
        causes = [e.context.endswith(" What was the cause of this?") for e in examples if isinstance(e, ChoiceExample)]
        assert sum(effects) == sum(causes) == 250


THREE, TWO = ("entailment", "neutral", "contradiction"), ("different", "paraphrase")
SPLITS = {
    ("mrpc", "train"): (TWO, (1169, 2407)),
    ("mrpc", "dev"): (TWO, (154, 346)),
    ("mrpc", "test"): (TWO, (578, 1147)),
    ("cad-snli", "train"): (THREE, (2770, 2778, 2782)),
    ("cad-snli", "dev"): (THREE, (326, 325, 349)),
    ("cad-snli", "test"): (THREE, (654, 677, 669)),
    ("sick", "train"): (THREE, (1299, 2536, 665)),
    ("sick", "dev"): (THREE, (144, 282, 74)),
    ("sick", "test"): (THREE, (1414, 2793, 720)),
    ("copa", "train"): (("first", "second"), (195, 205)),
    ("copa", "dev"): (("first", "second"), (55, 45)),
    ("copa", "test"): (("first", "second"), (250, 250)),
}


@pytest.mark.parametrize(("task", "split"), SPLITS)
def test_small_english_tasks(task: str, split: str) -> None:
    names, counts = SPLITS[task, split]
    assert labels(task, "en", split) == dict(zip(names, counts, strict=True))


PARTED = {
    "siqa": {"first": 643, "second": 654, "third": 657},
    "cosmosqa": {"first": 744, "second": 729, "third": 761, "fourth": 751},
    "piqa": {"first": 910, "second": 928},
}


@pytest.mark.parametrize("task", PARTED)
def test_development_sets_are_parted(task: str) -> None:
    train, dev = (labels(task, "en", split) for split in ("train", "dev"))
    assert train + dev == PARTED[task]
    assert dev.total() == sum(PARTED[task].values()) // 10
    assert sizes(find(task), "local", "en", "test") == 0


PARAPHRASES = {"en": 863, "de": 831, "es": 847, "fr": 860, "ja": 854, "ko": 840, "zh": 853}


@pytest.mark.parametrize("language", PARAPHRASES)
def test_paws_x_has_the_same_rows_in_every_language(language: str) -> None:
    count = PARAPHRASES[language]
    assert labels("paws-x", language, "test") == {"different": 2000 - count, "paraphrase": count}
    english, own = (load(find("paws-x"), "local", code, "test") for code in ("en", language))
    assert [e.id for e in english] == [e.id for e in own]
    for one, other in zip(english, own, strict=True):
        assert isinstance(other, PairExample)
        assert one.labels == other.labels or "NS" in (other.text, other.text_pair)


def test_the_german_test_set_of_paws_x() -> None:
    examples = load(find("paws-x"), "german-test", "de", "test")
    assert Counter(example.labels for example in examples) == {(0,): 1105, (1,): 895}
    assert len(examples) == sizes(find("paws-x"), "german-test", "de", "test") == 2000
    assert sizes(find("paws-x"), "german-test", "en", "test") == 0


def test_columns_are_read_by_name() -> None:
    first, *_ = load(find("cosmosqa"), "local", "en", "train", limit=Limit(1, "first"))
    assert isinstance(first, ChoiceExample)
    assert first.context.endswith("Why is this person asking about divorce ?")
    assert first.choices[first.label] == "He wants to get married to a different person ."
    first, *_ = load(find("mrpc"), "local", "en", "test", limit=Limit(1, "first"))
    assert isinstance(first, PairExample)
    assert first.text.startswith("PCCW's chief operating officer, Mike Butcher, and Alex Arena")


def test_fingerprints_tell_languages_and_splits_apart(benchmarks: Path) -> None:
    spec = find("xnli")
    asked = [{"dev": ["en"]}, {"dev": ["de"]}, {"test": ["en"]}, {"dev": ["en", "de"]}, {"dev": ["en"], "test": ["en"]}]
    found = [fingerprint(spec, "local", splits) for splits in asked]
    assert len(set(found)) == len(asked)
    assert found[0] == fingerprint(spec, "local", {"dev": ["en"]})
    assert str(benchmarks) not in found[0]


def questions(task: str, language: str, split: str) -> dict[str, QAExample]:
    found = load(find(task), "local", language, split)
    assert len(found) == sizes(find(task), "local", language, split)
    assert len({example.id for example in found}) == len(found)
    return {example.id: example for example in found if isinstance(example, QAExample)}


def test_xquad_asks_the_same_in_every_language_and_squad_trains_on_none_of_it() -> None:
    asked = {language: list(questions("xquad", language, "test")) for language in find("xquad").languages}
    assert len(asked) == 12 and all(ids == asked["en"] for ids in asked.values())
    squad = {split: questions("squad", "en", split) for split in ("train", "dev", "test")}
    assert [len(found) for found in squad.values()] == [10648, 1229, 10570]
    assert set(asked["en"]) <= set(squad["test"])
    passages = [{example.context for example in found.values()} for found in squad.values()]
    assert not passages[0] & passages[1] and not (passages[0] | passages[1]) & passages[2]
    assert all(example.answers for found in squad.values() for example in found.values())


def test_mlqa_and_tydiqa_have_their_languages() -> None:
    counts = {language: len(questions("mlqa", language, "test")) for language in find("mlqa").languages}
    assert counts == {"en": 1148, "ar": 517, "de": 512, "es": 500, "hi": 507, "vi": 511, "zh": 504}
    english = {split: len(questions("tydiqa", "en", split)) for split in ("train", "dev", "test")}
    assert english["train"] + english["dev"] + english["test"] == 3696
    assert {language: len(questions("tydiqa", language, "test")) for language in ("ko", "sw")} == {
        "ko": 1625,
        "sw": 2755,
    }
    assert sizes(find("tydiqa"), "local", "ko", "train") == 0


TATOEBA_SHORT = {"jv": 205, "ka": 746, "kk": 575, "ml": 687, "sw": 390, "ta": 307, "te": 234, "th": 548}
"""Languages of XTREME that have no 1,000 sentences."""


def test_tatoeba_pairs_xtremes_36_languages_with_english() -> None:
    spec = find("tatoeba")
    for language in spec.languages:
        examples = load(spec, "local", language, "test")
        queries = [one for one in examples if isinstance(one, RetrievalExample) and one.relevant is not None]
        assert len(queries) == sizes(spec, "local", language, "test") == TATOEBA_SHORT.get(language, 1000), language
        assert len(examples) == 2 * len(queries)
        assert [query.relevant for query in queries] == [(number,) for number in range(len(queries))]


@pytest.mark.parametrize(
    ("task", "language", "questions", "sentences"),
    [
        ("xquad-r", "en", 1190, 1148),
        ("xquad-r", "de", 1190, 1271),
        ("xquad-r", "zh", 1190, 1200),
        ("mlqa-r", "hi", 507, 2349),
    ],
)
def test_sentences_of_passages(task: str, language: str, questions: int, sentences: int) -> None:
    examples = load(find(task), "local", language, "test")
    asked = [one for one in examples if isinstance(one, RetrievalExample) and one.relevant is not None]
    assert (len(asked), len(examples) - len(asked)) == (questions, sentences)
    answers = {
        one.id: one.answers for one in load(find(task[:-2]), "local", language, "test") if isinstance(one, QAExample)
    }
    texts = [one.text for one in examples[len(asked) :] if isinstance(one, RetrievalExample)]
    held = [
        any(answer.text in texts[place] for answer in answers[one.id] for place in one.relevant or ()) for one in asked
    ]
    assert sum(held) > 0.97 * len(held), "some answers go beyond the end of a sentence"
