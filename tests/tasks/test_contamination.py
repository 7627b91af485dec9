"""Items that are trained on and scored: declared, and found by their texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapterx import places
from adapterx.tasks import data
from adapterx.tasks.catalog import find, names
from adapterx.tasks.contamination import OWN_SHARE, Relations
from adapterx.tasks.contents import Contents
from adapterx.tasks.examples import Example
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.item_keys import Keys, Known
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.sources.embedded import EmbeddedSource
from adapterx.tasks.words import normalised
from tests.support.marks import everyday

YAML = """\
adapterx: 1
name: {name}
description: …
format: pair-classification
labels: ["no", "yes"]
metrics: accuracy
languages: [en, de]
parallel: {parallel}
licence: CC0-1.0
{more}sources:
  local:
    kind: local
    reader: tsv
    columns: {{text: 0, text_pair: 1, label: 2}}
    splits: {{train: {{paths: "{train}"}}, test: {{paths: "{test}"}}}}
"""


def keys(examples: Iterable[Example]) -> Keys:
    """Of several items."""
    known = Known()
    for one in examples:
        known.add(one.id, map(normalised, one.texts))
    return known.keys


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.DATA, str(tmp_path))
    return tmp_path


def describe(here: Path, name: str, train: str = "train.tsv", test: str = "test.tsv", **more: Any) -> None:
    """A task whose files are made by `rows`."""
    parallel = str(more.pop("parallel", False)).lower()
    lines = "".join(f"{key}: {value}\n" for key, value in more.items())
    text = YAML.format(name=name, train=train, test=test, parallel=parallel, more=lines)
    (here / f"{name}.yaml").write_text(text, encoding="utf-8")


def rows(path: Path, first: int, count: int, text: str = "an item that is long enough not to be a chance") -> None:
    """Items that have no run of words in common."""
    numbered = (" ".join(f"{word}{n}" for word in text.split()) for n in range(first, first + count))
    path.write_text("".join(f"{one}\tsays the other text\tno\n" for one in numbered))


def part(name: str, *languages: str, source: str = "local", beside: Path | None = None) -> TaskPart:
    spec = find(name, beside)
    return TaskPart(name, spec.format, spec.labels, source, languages, "", spec.tokens)


def test_an_item_is_its_texts_however_they_are_written() -> None:
    pairs = [
        PairExample("1", "The  ﬁrst", "second\n", 0),
        PairExample("2", "SECOND", "the first", 1),
        PairExample("3", "third", None, 0),
    ]
    assert len(keys(pairs)) == 2
    choices = [ChoiceExample("1", "c", ("a", "b"), 0), ChoiceExample("2", "c", ("b", "a"), 1)]
    assert len(keys(choices)) == 1
    assert keys([]).size == 0


def test_items_of_another_task_are_found(here: Path) -> None:
    describe(here, "one")
    describe(here, "two", test="one-test.tsv")
    rows(here / "train.tsv", 0, 50)
    rows(here / "test.tsv", 100, 50)
    rows(here / "one-test.tsv", 49, 50)
    relations = Relations(Contents(here))
    trained, apart, shared = (part(name, "en", beside=here) for name in ("one", "one", "two"))
    assert relations(trained, apart).leak is None
    leak = relations(trained, shared).leak
    assert leak is not None
    assert leak.startswith("training on 'one' leaks into the test set of 'two': 1 of the 50 test items of 'two' in en")


def test_a_task_may_repeat_little_of_its_own(here: Path) -> None:
    describe(here, "one")
    rows(here / "train.tsv", 0, 300)
    rows(here / "test.tsv", 299, 200)
    own = part("one", "en", beside=here)
    found = Relations(Contents(here))(own, own)
    assert found.leak is None
    assert found.same_task
    assert found.remarks and "1 of the 200 test items" in found.remarks[0]
    rows(here / "test.tsv", 290, 200)
    assert "10 of the 200" in str(Relations(Contents(here))(own, own).leak)


def test_short_texts_recur_by_chance(here: Path) -> None:
    describe(here, "one")
    describe(here, "two")
    rows(here / "train.tsv", 0, 100, "hm")
    rows(here / "test.tsv", 98, 100, "hm")
    assert Relations(Contents(here))(part("one", "en", beside=here), part("two", "en", beside=here)).leak is None
    rows(here / "test.tsv", 90, 100, "hm")
    assert Relations(Contents(here))(part("one", "en", beside=here), part("two", "en", beside=here)).leak


def test_a_translation_gives_an_item_away(here: Path) -> None:
    describe(here, "one", train="train-{language}.tsv")
    describe(here, "parallel", test="test-{language}.tsv", parallel=True)
    describe(here, "apart", test="test-{language}.tsv")
    rows(here / "train-en.tsv", 0, 20)
    rows(here / "train-de.tsv", 0, 20, "ein Text, der lang genug ist, um kein Zufall zu sein")
    rows(here / "train.tsv", 0, 1)
    rows(here / "test-en.tsv", 10, 20)
    rows(here / "test-de.tsv", 500, 20, "ein anderer Text, der lang genug ist, um kein Zufall zu sein")
    trained, relations = part("one", "en", beside=here), Relations(Contents(here))
    assert relations(trained, part("parallel", "de", beside=here)).leak, "the same items are in English"
    leak = relations(trained, part("apart", "de", beside=here)).leak
    assert leak is not None and "10 of the 20 test items of 'apart' in en" in leak, "scored in German alone"


def test_the_language_compared_is_one_that_both_have(here: Path) -> None:
    """Both are parallel, and English comes first in both, but it has no training data."""
    describe(here, "one", train="train-{language}.tsv", test="one-{language}.tsv", parallel=True)
    describe(here, "two", test="test-{language}.tsv", parallel=True)
    rows(here / "train-de.tsv", 0, 20)
    rows(here / "test-de.tsv", 0, 20)
    rows(here / "test-en.tsv", 500, 20)
    assert Relations(Contents(here))(part("one", "de", beside=here), part("two", "en", beside=here)).leak


def test_declared_relations_are_followed_to_a_common_source(here: Path) -> None:
    describe(here, "one", derived_from="{train: {between: test}}")
    describe(here, "between", derived_from="{test: {nowhere: [dev]}}")
    describe(here, "two", derived_from="{test: {nowhere: dev}}", same_task="[one]")
    describe(here, "three", derived_from="{test: {nowhere: test}}")
    relations = Relations(Contents(here))
    found = relations(part("one", "en", beside=here), part("two", "en", beside=here))
    assert found.leak == (
        "training on 'one' leaks into the test set of 'two': both hold items of nowhere's dev split (derived_from)"
    )
    assert found.same_task
    rows(here / "train.tsv", 0, 5)
    rows(here / "test.tsv", 10, 5)
    apart = relations(part("one", "en", beside=here), part("three", "en", beside=here))
    assert (apart.leak, apart.same_task) == (None, False)


def test_keys_are_kept_by_content(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(here, "one")
    rows(here / "train.tsv", 0, 5)
    rows(here / "test.tsv", 10, 5)
    store, own = here / "store", part("one", "en", beside=here)
    Relations(Contents(here, store))(own, own)
    assert not store.exists(), "a plan alone makes no store"
    store.mkdir()
    Relations(Contents(here, store))(own, own)
    kinds = {path.name.partition(".")[2] for path in (store / "cache" / "items").iterdir()}
    assert kinds == {"3.npy", "3.runs.npy", "3.items.npz"}
    with monkeypatch.context() as patch:
        patch.setattr(data, "entries", None)
        found = Relations(Contents(here, store))(own, own)
    assert found.leak is None
    for path in sorted((store / "cache" / "items").iterdir()):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert Relations(Contents(here, store))(own, own) == found, "a damaged file is made anew"
        assert path.read_bytes() != content


def test_embedded_tasks_share_nothing() -> None:
    relations = Relations(Contents(None))
    tasks = [name for name in names() if isinstance(next(iter(find(name).sources.values())), EmbeddedSource)]
    for learnt in tasks:
        for scored in tasks:
            if find(scored).metrics:
                found = relations(
                    part(learnt, "en", "de", source="embedded"), part(scored, "sw", "th", source="embedded")
                )
                assert (found.leak, found.remarks) == (None, ())


@pytest.mark.slow
@pytest.mark.usefixtures("benchmarks")
def test_real_tasks_that_go_together() -> None:
    relations = Relations(Contents(None))
    xnli, lingnli, udpos = part("xnli", "en", "de"), part("lingnli", "en"), part("udpos", "en", "de")
    assert (relations(lingnli, xnli).leak, relations(lingnli, xnli).same_task) == (None, True)
    found = relations(udpos, udpos)
    assert found.leak is None and found.remarks and "56 of the 3,874 test items" in found.remarks[0]
    for learnt, scored in (("copa", "xcopa"), ("xcopa", "copa"), ("mrpc", "paws-x"), ("sick", "cad-snli")):
        assert relations(part(learnt, "en"), part(scored, "en")).leak is None, learnt
    for name in ("mrpc", "sick", "cad-snli"):
        assert relations(part(name, "en"), part(name, "en")).leak is None, name


COPA_VAL = """\
adapterx: 1
name: copa-val
description: COPA's validation set, or its translations.
format: multiple-choice
labels: [first, second]
metrics: accuracy
languages: [en, sw]
licence: mine
derived_from: {test: {ORIGIN}}
sources:
  local:
    kind: local
    reader: tsv
    columns: {context: 0, choices: [1, 2], label: 3}
    splits: {test: {paths: val.tsv}}
"""


@pytest.mark.parametrize(("origin", "language"), [("copa: dev", "en"), ("xcopa: dev", "sw")])
def test_balanced_copa_holds_the_validation_set_of_copa(here: Path, origin: str, language: str) -> None:
    """Nothing is downloaded: what the YAML says is enough, in any language."""
    (here / "copa-val.yaml").write_text(COPA_VAL.replace("ORIGIN", origin))
    relations, trained = Relations(Contents(here)), part("balanced-copa", "en", source="hub")
    found = relations(trained, part("copa-val", language, beside=here))
    assert found.leak is not None and "'balanced-copa' leaks into the test set of 'copa-val'" in found.leak
    assert relations(part("copa", "en"), part("balanced-copa", "en", source="hub")).same_task


@pytest.mark.parametrize("language", ["en", "de", "uk"])
def test_translated_hellaswag_is_its_validation_set(here: Path, language: str) -> None:
    trained, scored = part("m-hellaswag", language, source="hub"), part("hellaswag", "en", source="hub")
    found = Relations(Contents(here))(trained, scored)
    assert found.leak is not None and "both hold items of hellaswag's test split" in found.leak


PARALLEL = {
    "xnli": (
        "pair-classification",
        "{text: 0, text_pair: 1}",
        "paths: 'xnli/test-{language}.tsv', labels: xnli/test-labels.txt",
    ),
    "paws-x": ("pair-classification", "{text: 0, text_pair: 1, label: 2}", "paths: 'pawsx/dev-{language}.tsv'"),
}


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize("name", PARALLEL)
@pytest.mark.parametrize(
    ("learnt", "scored"), everyday([("en", "en"), ("en", "de"), ("de", "fr"), ("zh", "en")], [("de", "fr")])
)
def test_a_parallel_test_set_is_not_learnt_in_any_language(tmp_path: Path, name: str, learnt: str, scored: str) -> None:
    """A user's own YAML, which declares nothing, over the files of the test set."""
    format_, columns, files = PARALLEL[name]
    known = find(name)
    (tmp_path / "own.yaml").write_text(
        f"adapterx: 1\nname: own\ndescription: …\nformat: {format_}\nlabels: [{', '.join(known.labels)}]\n"
        "metrics: accuracy\nlanguages: [en, de, fr, zh]\nlicence: mine\nsources:\n  local:\n    kind: local\n"
        f"    reader: tsv\n    columns: {columns}\n    values: {{label: {{'0': different, '1': paraphrase}}}}\n"
        f"    splits: {{train: {{{files}}}}}\n"
    )
    found = Relations(Contents(tmp_path))(part("own", learnt, beside=tmp_path), part(name, scored))
    assert found.leak is not None and f"leaks into the test set of '{name}'" in found.leak


@pytest.mark.parametrize(
    ("learnt", "scored"), [("mnli", "xnli"), ("lingnli", "xnli"), ("copa", "xcopa"), ("m-hellaswag", "m-hellaswag")]
)
def test_the_same_task_is_allowed_and_known(here: Path, learnt: str, scored: str) -> None:
    found = Relations(Contents(here))(
        part(learnt, "en", source="hub"), part(scored, "de" if scored == "xnli" else "en", source="hub")
    )
    assert (found.leak, found.same_task) == (None, True)


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize("name", ["xnli", "udpos", "xcopa", "copa", "cad-snli", "sick", "mrpc"])
def test_what_chooses_is_not_what_is_scored(name: str) -> None:
    """Weights, steps and learning rates are chosen on dev items: hardly a long one of them is a test item."""
    spec = find(name)
    dev, test = (keys(data.stream(spec, "local", "en", split)) for split in ("dev", "test"))
    shared = np.intersect1d(dev, test)
    assert len(dev) and len(test) and (shared & 1).sum() <= OWN_SHARE * len(test)
