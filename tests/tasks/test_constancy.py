"""Answers that are alike everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adapterx.tasks.constancy import Answers, collapsed, of_labels, of_rankings, of_texts, single, told

NAMES = ("same", "other")


def arrays(*rows: list[int]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array(row, dtype=np.int64) for row in rows]


def labels(gold: str, prediction: str) -> Answers:
    """One label per letter: s for the first, o for the second."""
    right, said = (arrays(*([int(one == "o")] for one in text)) for text in (gold, prediction))
    return of_labels(right, said, NAMES)


def test_labels() -> None:
    found = labels("sosososo", "ssssssso")
    assert (found.always, found.share, found.right_share) == ("answers 'same' to everything", 7 / 8, 0.5)
    assert not found.constant and found.varied and found.items == 8
    assert found.entropy == pytest.approx(math.log(2))
    assert labels("soso", "ssss").constant


def test_one_answer_is_right_where_one_label_is() -> None:
    found = labels("oooo", "oooo")
    assert not found.varied and not found.constant and found.right == "other" and found.entropy == 0


def test_tags_count_word_by_word() -> None:
    found = of_labels(arrays([0, 0, 1], [0]), arrays([0, 0, 0], [0]), NAMES)
    assert found.constant and (found.right_share, found.items) == (0.75, 2)


@pytest.mark.parametrize(
    ("gold", "said", "constant", "always"),
    [
        ([("a",), ("b",)], ["", ""], True, "gives no answer to anything"),
        ([("a",), ("b",)], ["x", "x"], True, "answers 'x' to everything"),
        ([("a",), ("b",)], ["x", ""], False, "answers 'x' to everything"),
        ([(), ()], ["", ""], False, "gives no answer to anything"),
    ],
)
def test_texts(gold: list[tuple[str, ...]], said: list[str], constant: bool, always: str) -> None:
    found = of_texts(gold, said)
    assert (found.constant, found.always, found.entropy) == (constant, always, None)


def rankings(ids: list[str], nearest: list[int], gold: list[int]) -> Answers:
    return of_rankings(
        ids, arrays(*([one] for one in gold)), arrays(*([one, 1] for one in nearest)), ["de", "en", "fr"]
    )


def test_rankings() -> None:
    assert rankings(["a", "b"], [3, 3], [0, 1]).constant
    assert not rankings(["a", "b"], [3, 4], [0, 1]).constant
    assert not rankings(["a", "b"], [3, 3], [3, 3]).constant, "it is the right one of both"
    assert not rankings(["a"], [3], [0]).constant, "one query tells nothing"


def test_candidates_of_languages_that_are_searched_in_turn_are_judged_in_turn() -> None:
    ids = ["a@de", "b@de", "a@fr", "b@fr"]
    assert rankings(ids, [3, 3, 5, 5], [0, 1, 0, 1]).constant
    assert not rankings(ids, [3, 3, 5, 6], [0, 1, 0, 1]).constant
    assert not rankings(["a@x", "b@y"], [3, 4], [0, 1]).constant, "addresses, of one language"


def test_where_it_is_said() -> None:
    alike, other = labels("soso", "ssss"), labels("soso", "oooo")
    assert told({"de": alike, "fr": alike}, 10) == "answers 'same' to everything in de, fr (2 of 10 languages)"
    both = "answers 'same' to everything in de; answers 'other' to everything in fr (2 of 2 languages)"
    assert told({"de": alike, "fr": other}, 2) == both


def test_a_cell_collapses_where_every_language_that_can_tell_is_constant() -> None:
    alike, fine, single = (
        labels(5 * gold, 5 * said) for gold, said in (("soso", "ssss"), ("soso", "soss"), ("ssss", "ssss"))
    )
    assert collapsed({"en": alike, "de": alike}) == "answers 'same' to everything in en, de (2 of 2 languages)"
    assert collapsed({"en": alike, "de": fine}) is None
    assert collapsed({"en": alike, "de": single}) == "answers 'same' to everything in en (1 of 1 language)"
    assert collapsed({"en": single}) is None and collapsed({}) is None


def test_labels_of_strangers_do_not_write_to_the_terminal() -> None:
    assert "\x1b" not in of_labels(arrays([0]), arrays([0]), ["\x1b[2J"]).always
    assert "\x1b" not in single(2, "test", ["en"], "\x1b[2J")


def test_a_single_label() -> None:
    assert single(1200, "test", ["en", "de"], "yes").startswith(
        "all 1,200 test items in en, de each have the label 'yes'"
    )
