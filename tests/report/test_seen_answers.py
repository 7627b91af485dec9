"""What the page shows of answers: confusions as scikit-learn counts them, right and wrong items, their own texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapterx.report import analyse, texts
from adapterx.report.cell_details import cell_details
from adapterx.report.languages import UNKNOWN, language
from adapterx.report.seen_answers import MOST_LABELS, SHOWN, seen
from adapterx.results.predictions import Evaluated, LanguagePredictions, StoredPredictions
from adapterx.store import Store
from tests.report.fake import Fake, write

XTREME = {
    "af",
    "ar",
    "bg",
    "bn",
    "de",
    "el",
    "en",
    "es",
    "et",
    "eu",
    "fa",
    "fi",
    "fr",
    "he",
    "hi",
    "hu",
    "id",
    "it",
    "ja",
}
XTREME |= {"jv", "ka", "kk", "ko", "ml", "mr", "ms", "my", "nl", "pt", "ru", "sw", "ta", "te", "th", "tl", "tr", "ur"}
XTREME |= {"vi", "yo", "zh"}


def stored(gold: list[Any], given: list[Any], labels: tuple[str, ...], metric: str) -> StoredPredictions:
    ids = [f"item{number}" for number in range(len(gold))]
    return StoredPredictions(Evaluated("task", labels, (metric,)), [LanguagePredictions("sw", ids, gold, given)])


def labelled(random: np.random.Generator, labels: int, lengths: list[int]) -> tuple[list[Any], list[Any]]:
    gold: list[Any] = [random.integers(0, labels, length) for length in lengths]
    given: list[Any] = [random.integers(0, labels, length) for length in lengths]
    return gold, given


@pytest.mark.parametrize("lengths", [[1] * 60, [3, 1, 7, 2, 5] * 6, [2, 0, 4] * 10], ids=["labels", "tags", "empty"])
def test_confusions_are_those_of_scikit_learn(lengths: list[int]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    gold, given = labelled(np.random.default_rng(7), 4, lengths)
    found = seen(stored(gold, given, ("a", "b", "c", "d"), "accuracy"))
    flat = [np.concatenate(side) for side in (gold, given)]
    expected = metrics.confusion_matrix(*flat, labels=range(4))
    assert np.array_equal(found.confusions["sw"], expected)
    for item in found.items["sw"]:
        assert item.right == (item.gold == item.prediction)
    alike = [np.array_equal(*pair) for pair in zip(gold, given, strict=True)]
    expected_shown = [min(SHOWN, alike.count(False)), min(SHOWN, alike.count(True))]
    assert [sum(item.right is right for item in found.items["sw"]) for right in (False, True)] == expected_shown


def test_cells_show_the_same_items_where_they_answer_alike() -> None:
    random = np.random.default_rng(3)
    gold, given = labelled(random, 2, [1] * 200)
    other = [1 - one if at % 50 == 0 else one for at, one in enumerate(given)]
    first, second = (seen(stored(gold, side, ("a", "b"), "accuracy")).items["sw"] for side in (given, other))
    assert len({one.id for one in first} & {one.id for one in second}) >= 4


def test_many_labels_have_no_confusions() -> None:
    labels = tuple(f"label{number}" for number in range(MOST_LABELS + 1))
    gold, given = labelled(np.random.default_rng(1), len(labels), [1] * 30)
    found = seen(stored(gold, given, labels, "accuracy"))
    assert found.confusions == {} and found.items["sw"]


def test_texts_and_numbers_are_shown() -> None:
    found = seen(stored([["Nairobi", "mji"], ["x"], []], ["NAIROBI ", "y", ""], (), "squad_f1"))
    right = {item.id: item.right for item in found.items["sw"]}
    assert right == {"item0": True, "item1": False, "item2": True}
    numbers = seen(stored([0.0, 1.0, 2.0, 3.0], [0.1, 1.0, 9.0, 7.0], (), "pearson"))
    assert {item.id for item in numbers.items["sw"] if item.right} == {"item0", "item1"}


def test_what_was_found_is_shown_by_its_name() -> None:
    gold = [np.array([4]), np.array([2, 7, 8, 9]), np.array([5])]
    given = [np.array([4, 1]), np.array([3, 2, 5, 6, 8]), np.array([0, 9])]
    found = seen(stored(gold, given, (), "mean_average_precision_20"))
    assert found.sought
    assert {one.id: (one.gold, one.prediction, one.right) for one in found.items["sw"]} == {
        "item0": (("→#4",), "→#4", True),
        "item1": (("→#2", "→#7", "→#8"), "→#3", False),
        "item2": (("→#5",), "→#0", False),
    }
    mined = seen(stored([["en-1"], [], ["en-3"], []], ["en-1", "", "", "en-9"], (), "pair_f1"))
    assert {one.id: (one.gold, one.prediction, one.right) for one in mined.items["sw"]} == {
        "item0": (("→en-1",), "→en-1", True),
        "item1": ((), "", True),
        "item2": (("→en-3",), "", False),
        "item3": ((), "→en-9", False),
    }


@pytest.mark.parametrize(
    ("name", "why"),
    [("choice", "cannot be read on this machine"), ("time-order", "not those that were evaluated")],
    ids=["unknown-task", "other-data"],
)
def test_texts_are_never_those_of_other_data(tmp_path: Path, name: str, why: str) -> None:
    store = Store(tmp_path)
    fake = Fake(backbones=("small",), tasks={"choice": name}, items=8, bootstrap=100)
    run = write(store, fake)
    for path in store.root.glob("stages/evaluation/*/record.json"):
        path.write_text(path.read_text().replace('"task": "choice"', f'"task": "{name}"'))
    analysis = analyse(store, run)
    (found,) = texts.read(analysis.results, None).values()
    assert found.texts == {} and why in found.missing
    details = cell_details(analysis, {"choice": found})
    assert isinstance(details["targets"], dict)
    target = details["targets"]["choice"]
    assert isinstance(target, dict) and target["without"] == found.missing


@pytest.mark.parametrize(
    ("code", "family", "script", "rtl"),
    [
        ("ar", "Afro-Asiatic", "Arabic", True),
        ("ur", "Indo-European", "Arabic", True),
        ("he", "Afro-Asiatic", "Hebrew", True),
        ("sw", "Atlantic-Congo", "Latin", False),
        ("zh", "Sino-Tibetan", "Han", False),
        ("zh-Hant", "Sino-Tibetan", "Han", False),
        ("th", "Tai-Kadai", "Thai", False),
        ("xx", UNKNOWN, UNKNOWN, False),
    ],
)
def test_what_is_known_of_languages(code: str, family: str, script: str, rtl: bool) -> None:
    one = language(code)
    assert (one.family, one.script, one.right_to_left) == (family, script, rtl)


def test_every_language_of_xtreme_has_a_family() -> None:
    assert {code for code in XTREME if language(code).family == UNKNOWN} == set()
