from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator

import pytest

from adapterx.limits import Limit
from adapterx.tasks.catalog import find, names
from adapterx.tasks.cldr import names as cldr
from adapterx.tasks.cldr.draws import Draws
from adapterx.tasks.cldr.moments import Moment, lengths
from adapterx.tasks.cldr.places import RELATIONS, places
from adapterx.tasks.cldr.time_mentions import words
from adapterx.tasks.data import fingerprint, load, sizes
from adapterx.tasks.examples import Example, Split
from adapterx.tasks.kinds.masked_lm import TextExample
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample
from adapterx.tasks.sources.embedded import EmbeddedSource
from adapterx.tasks.spec import TaskSpec
from tests.support.present import present

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EMBEDDED = tuple(name for name in names() if isinstance(next(iter(find(name).sources.values())), EmbeddedSource))
TASKS = tuple(name for name in EMBEDDED if find(name).labels)
SCRIPTS = {
    "LATIN": ("en", "de", "fr", "es", "pl", "fi", "hu", "tr", "id", "vi", "sw"),
    "CYRILLIC": ("ru", "uk"),
    "GREEK": ("el",),
    "ARABIC": ("ar",),
    "HEBREW": ("he",),
    "DEVANAGARI": ("hi",),
    "BENGALI": ("bn",),
    "TAMIL": ("ta",),
    "THAI": ("th",),
    "KATAKANA HIRAGANA CJK": ("ja",),
    "HANGUL": ("ko",),
    "CJK": ("zh",),
    "GEORGIAN": ("ka",),
}


def texts(example: Example) -> Iterator[str]:
    if isinstance(example, PairExample):
        yield from (example.text, example.text_pair or "")
    elif isinstance(example, TaggingExample):
        yield " ".join(example.words)
    else:
        assert isinstance(example, ChoiceExample)
        yield from (example.context, *example.choices)


def examples(task: str, language: str, split: str) -> list[Example]:
    return load(find(task), "embedded", language, split)


def with_sizes(task: str, **sizes: int) -> TaskSpec:
    settings = find(task).model_dump()
    return TaskSpec.model_validate(settings | {"sources": {"embedded": {"kind": "embedded", "sizes": sizes}}})


def test_scripts_cover_the_languages() -> None:
    assert sorted(language for languages in SCRIPTS.values() for language in languages) == sorted(cldr.LANGUAGES)
    assert len(SCRIPTS) >= 8
    assert all(find(task).languages == cldr.LANGUAGES for task in TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_items_are_parallel_and_as_many_as_declared(task: str) -> None:
    for split in SPLITS:
        english = examples(task, "en", split)
        assert len(english) == sizes(find(task), "embedded", "en", split)
        assert len({example.id for example in english}) == len(english)
        for language in ("de", "ja", "ar"):
            others = examples(task, language, split)
            assert [example.id for example in others] == [example.id for example in english]
            if find(task).format != "tagging":
                assert [example.labels for example in others] == [example.labels for example in english]
    assert present(sizes(find(task), "embedded", "en", "train")) >= 2000
    assert sizes(find(task), "embedded", "xx", "train") == 0


@pytest.mark.parametrize("task", [task for task in TASKS if find(task).format != "tagging"])
def test_labels_are_balanced_in_every_beginning(task: str) -> None:
    classes = len(find(task).labels)
    for split in SPLITS:
        answers = [example.labels[0] for example in examples(task, "en", split)]
        for beginning in (classes * 10, len(answers) // classes * classes):
            assert set(Counter(answers[:beginning]).values()) == {beginning // classes}


def test_the_commonest_tag_is_far_from_common() -> None:
    tags = Counter(tag for example in examples("time-mentions", "en", "test") for tag in example.labels)
    assert set(tags) == set(range(len(find("time-mentions").labels)))
    assert tags.most_common(1)[0][1] / tags.total() < 0.25


@pytest.mark.parametrize("task", TASKS)
def test_test_and_dev_examples_are_distinct(task: str) -> None:
    for split in ("dev", "test"):
        english = [(*texts(example), example.labels) for example in examples(task, "en", split)]
        assert len(set(english)) == len(english)


def test_no_length_of_time_is_in_two_splits() -> None:
    seconds = [set(lengths(split).all) for split in SPLITS]
    assert not seconds[0] & seconds[1] and not seconds[0] & seconds[2] and not seconds[1] & seconds[2]
    forms = [{form for forms in lengths(split).forms.values() for form in forms} for split in SPLITS]
    assert not forms[0] & forms[2]
    assert len(seconds[2]) > 50


def test_no_territory_or_currency_is_in_two_splits() -> None:
    for kind in ("territory", "currency"):
        found = [
            {f.territory if kind == "territory" else f.value for f in places(split).of["currency"]} for split in SPLITS
        ]
        assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]
    assert len({fact.territory for fact in places("test").facts}) > 50


@pytest.mark.parametrize("task", ["time-order", "time-latest", "time-mentions"])
@pytest.mark.parametrize("language", ["en", "fi", "ar", "zh"])
def test_no_moment_of_a_test_is_ever_trained_on(task: str, language: str) -> None:
    trained = {moment(language, form, past) for form in forms("train") for past in (True, False)}
    tested = {moment(language, form, past) for form in forms("test") for past in (True, False)}
    assert not trained & tested
    for split, own in (("train", trained), ("test", tested)):
        said = {text for e in examples(task, language, split) if not isinstance(e, TaggingExample) for text in texts(e)}
        assert said - {""} <= own


def forms(split: str) -> set[tuple[str, int]]:
    return {form for said in lengths(split).forms.values() for form in said}


def moment(language: str, form: tuple[str, int], past: bool) -> str:
    return cldr.moment(language, *form, past)


@pytest.mark.parametrize("task", ["place-match", "place-choice"])
def test_no_territory_of_a_test_is_named_in_training(task: str) -> None:
    for language in ("en", "th"):
        tested = {cldr.territory(language, fact.territory) for fact in places("test").facts}
        named = {next(iter(texts(example))) for example in examples(task, language, "train")}
        assert not tested & named
        assert named <= {cldr.territory(language, fact.territory) for fact in places("train").facts}


@pytest.mark.parametrize(("script", "language"), [(script, code) for script in SCRIPTS for code in SCRIPTS[script]])
def test_texts_are_in_the_language_not_in_a_parent_locale(script: str, language: str) -> None:
    """Babel falls back silently: texts must be in the script, or, in Latin script, rarely those of English."""
    for task in TASKS:
        said = {text for example in examples(task, language, "test") for text in texts(example)}
        if script != "LATIN":
            letters = [c for text in said for c in text if c.isalpha()]
            own = sum(re.split("[ -]", unicodedata.name(c))[0] in script.split() for c in letters)
            assert own / len(letters) > 0.97, task
        elif language != "en":
            english = {text for example in examples(task, "en", "test") for text in texts(example)}
            # Cities and many territories are called the same; times, currencies and languages are not.
            assert len(said & english) / len(said) < (0.6 if task.startswith("place") else 0.02), task


@pytest.mark.parametrize("language", [language for language in cldr.LANGUAGES if language != "en"])
def test_currencies_and_languages_have_names_of_their_own(language: str) -> None:
    facts = {f for split in SPLITS for relation in ("currency", "language") for f in places(split).of[relation]}
    same = [fact for fact in facts if fact.said(language) == fact.said("en")]
    assert len(same) / len(facts) < 0.2


def test_every_place_is_named_in_every_language() -> None:
    facts = [fact for split in SPLITS for fact in places(split).facts]
    assert {fact.relation for fact in facts} == set(RELATIONS)
    for language in cldr.LANGUAGES:
        for fact in facts:
            assert cldr.territory(language, fact.territory) not in ("", fact.territory)
            assert fact.said(language) not in ("", fact.value)


def test_known_facts_are_there_and_wrong_ones_are_wrong() -> None:
    all_facts = {(f.territory, f.relation, f.value) for split in SPLITS for f in places(split).facts}
    assert {("JP", "currency", "JPY"), ("JP", "language", "ja"), ("FI", "currency", "EUR")} <= all_facts
    assert not {fact for fact in all_facts if fact[0] == "FI" and fact[1] == "currency"} - {("FI", "currency", "EUR")}
    for split in SPLITS:
        available = places(split)
        draws = Draws("test", split)
        for fact in available.facts:
            other = available.other(draws, fact, alike=True)
            assert other.relation == fact.relation
            assert not available.true(fact.territory, other.value)


def test_a_wrong_value_says_nothing_by_itself() -> None:
    """In training a widespread value like the euro must not give the label away."""
    said = [(e.text_pair, e.label) for e in examples("place-match", "en", "train") if isinstance(e, PairExample)]
    frequent = [value for value, _ in Counter(value for value, _ in said).most_common(5)]
    for value in frequent:
        answers = [label for v, label in said if v == value]
        assert 0.25 < sum(answers) / len(answers) < 0.75


@pytest.mark.parametrize(
    ("language", "past", "future"),
    [
        ("en", "7 days ago", "in 7 days"),
        ("de", "vor 7 Tagen", "in 7 Tagen"),
        ("fi", "7 päivää sitten", "7 päivän päästä"),
        ("ru", "7 дней назад", "через 7 дней"),
        ("zh", "7天前", "7天后"),
        ("sw", "siku 7 zilizopita", "baada ya siku 7"),
    ],
)
def test_moments_are_said_in_the_right_plural_form(language: str, past: str, future: str) -> None:
    week = 7 * 86_400
    assert Moment(week, "day", 7, past=True).said(language) == past
    assert Moment(week, "day", 7, past=False).said(language) == future


def test_a_month_is_not_clearly_different_from_30_days() -> None:
    month, days = Moment(2_629_746, "month", 1, past=True), Moment(30 * 86_400, "day", 30, past=True)
    assert not month.differs(days)
    assert month.differs(Moment(30 * 86_400, "day", 30, past=False))


def test_order_and_latest_are_true() -> None:
    positions = {
        moment("en", (unit, quantity), past): -seconds if past else seconds
        for split in SPLITS
        for seconds, said in lengths(split).forms.items()
        for unit, quantity in said
        for past in (True, False)
    }
    for split in SPLITS:
        for pair in examples("time-order", "en", split):
            assert isinstance(pair, PairExample)
            first, second = positions[pair.text], positions[pair.text_pair or ""]
            assert pair.label == (0 if first < second else 1 if first == second else 2)
            assert pair.text != pair.text_pair
        for question in examples("time-latest", "en", split):
            assert isinstance(question, ChoiceExample)
            at = [positions[choice] for choice in question.choices]
            assert at.index(max(at)) == question.label
            assert len(set(at)) == 4


def test_mentions_are_tagged_whole() -> None:
    spec = find("time-mentions")
    for language in cldr.LANGUAGES:
        for example in examples("time-mentions", language, "test"):
            tags = [spec.labels[tag] for tag in example.labels]
            for before, tag in zip(["O", *tags], tags, strict=False):
                assert not tag.startswith("I-") or before[2:] == tag[2:]
            assert 2 <= sum(tag.startswith("B-") for tag in tags) <= 3


def test_words_part_numbers_from_letters_and_keep_marks_together() -> None:
    assert words("3天前") == ["3", "天前"]
    assert words("10 kilo-meters, 5%") == ["10", "kilo", "-", "meters", ",", "5", "%"]
    assert words("हफ़्ते पहले") == ["हफ़्ते", "पहले"]
    assert words("d’avril") == ["d", "’", "avril"]
    assert words(" ") == []


def test_another_seed_makes_other_examples_of_the_same_items() -> None:
    spec = find("time-order").model_dump()
    source = spec["sources"]["embedded"]
    other = TaskSpec.model_validate(spec | {"sources": {"embedded": source | {"seed": 2}}})
    mine, theirs = (load(s, "embedded", "en", "test") for s in (find("time-order"), other))
    assert mine != theirs
    assert {text for e in theirs for text in texts(e)} <= {
        moment("en", f, p) for f in forms("test") for p in (True, False)
    }
    splits = {"test": ["en"]}
    assert fingerprint(other, "embedded", splits) != fingerprint(find("time-order"), "embedded", splits)


def test_fingerprints_differ_by_task_and_size_and_carry_babels_version(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {"train": ["en", "de"], "dev": ["en"]}
    found = {task: fingerprint(find(task), "embedded", splits) for task in TASKS}
    assert len(set(found.values())) == len(TASKS)
    assert fingerprint(with_sizes("time-order", train=10), "embedded", splits) != found["time-order"]
    assert fingerprint(find("time-order"), "embedded", {"dev": ["en"], "train": ["de", "en"]}) == found["time-order"]
    monkeypatch.setattr("adapterx.tasks.sources.embedded.version", lambda _: "99")
    assert fingerprint(find("time-order"), "embedded", splits) != found["time-order"]


@pytest.mark.parametrize("task", ["time-order", "place-match", "place-choice"])
def test_more_examples_than_the_items_make_are_refused(task: str) -> None:
    with pytest.raises(ValueError, match="the items of this split make no others"):
        load(with_sizes(task, test=5000), "embedded", "en", "test")


def test_unknown_generator_and_language_are_refused() -> None:
    renamed = TaskSpec.model_validate(find("time-order").model_dump() | {"name": "time-travel"})
    with pytest.raises(ValueError, match="no generator makes the task 'time-travel'; embedded are time-order"):
        load(renamed, "embedded", "en", "test")
    with pytest.raises(ValueError, match="the task 'time-order' has no language 'xx'"):
        load(find("time-order"), "embedded", "xx", "test")


def test_another_process_makes_the_same_examples() -> None:
    code = (
        "import json; from adapterx.tasks.catalog import find; from adapterx.tasks.data import load;"
        f"print(json.dumps([str(load(find(task), 'embedded', 'ka', 'test')[7]) for task in {TASKS}]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [str(examples(task, "ka", "test")[7]) for task in TASKS]


def test_all_splits_in_all_languages_take_seconds() -> None:
    start = time.process_time()
    for language in cldr.LANGUAGES:
        for split in SPLITS:
            assert examples("time-order", language, split)
    assert time.process_time() - start < 5


def test_text_is_of_training_items_in_every_language() -> None:
    """What a language adapter reads names no territory, and no length of time, that a task tests."""
    spec = find("cldr-text")
    tested = {cldr.territory("en", fact.territory) for fact in places("test").facts}
    for language in spec.languages:
        found = load(spec, "embedded", language, "train", Limit(50, "first"))
        shown = [example.text for example in found if isinstance(example, TextExample)]
        assert len(shown) == len(found) and not any("{" in text for text in shown)
        assert len(set(shown)) == 50
    for example in load(spec, "embedded", "en", "train"):
        assert isinstance(example, TextExample)
        named = {part.partition(": ")[0] for part in example.text.split("; ")[:-1]}
        assert len(named) >= 1 and not named & tested
    assert sizes(spec, "embedded", "en", "test") == sizes(spec, "embedded", "en", "dev") == 0
    assert load(spec, "embedded", "en", "train", Limit(5, "first")) == load(spec, "embedded", "en", "train")[:5]
    german = load(spec, "embedded", "de", "train", Limit(5, "first"))
    assert load(spec, "embedded", "en", "train", Limit(5, "first")) != german
