"""Scores of answers in words, against the published formulas written out one by one."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from itertools import product

import numpy as np
import pytest

from adapterx.tasks.metrics import majority_baseline, metric
from adapterx.tasks.metrics_qa import MLQA_LANGUAGES

ADVERSARIAL = [
    "", " ", "the", "The  an a", "a", "A the cat", "theatre", "the-atre", "U.S.A.", "usa", "24–10", "24-10", "2410",
    "it's", "its", "naïve café", "“quoted”", "quoted", "¿Qué?", "qué", "$5.00", "500", "₹5", "x the", "THE END",
    "北京", "北 京", "在北京大学。", "北京大学", "1946年的", "1946 年", "「北京」", "㐀北", "NBA总决赛",
    "กรุงเทพมหานคร", "กรุงเทพ มหานคร", "ประเทศไทย ฯ", "الكتاب", "كتاب", "ال", "في القاهرة", "القاهرة، مصر", "سؤال",
    "el niño", "niño", "una de las", "Unos", "der Hund", "Hund", "Des dem", "eineines", "của là", "cái chiếc nón",
    "nón", "भारत का", "भारत।", "a\u00a0b", "a b", "İstanbul", "ß", "SS", "\u2019s", "tab\tand\nline",
]  # fmt: skip

ARTICLES = {
    "en": ["a", "an", "the"],
    "es": ["un", "una", "unos", "unas", "el", "la", "los", "las"],
    "vi": ["của", "là", "cái", "chiếc", "những"],
    "de": ["ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"],
}


def squad_tokens(text: str) -> list[str]:
    """Lower case; no ASCII punctuation; the words a, an, the become a space; split at whitespace."""
    bare = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def mlqa_tokens(text: str, language: str) -> list[str]:
    """The same with all punctuation of Unicode, each language's articles, and Chinese characters one by one."""
    bare = "".join(
        character
        for character in text.lower()
        if not unicodedata.category(character).startswith("P") and character not in string.punctuation
    )
    if language == "ar":
        bare = bare.replace("ال", " ")
    elif language in ARTICLES:
        bare = re.sub(r"\b(?:" + "|".join(ARTICLES[language]) + r")\b", " ", bare)
    if language != "zh":
        return bare.split()
    tokens, waiting = [], ""
    for character in bare:
        if "\u4e00" <= character <= "\u9fa5":
            tokens += [*waiting.split(), character]
            waiting = ""
        else:
            waiting += character
    return [*tokens, *waiting.split()]


def tokens(way: str, text: str, language: str) -> list[str]:
    return squad_tokens(text) if way == "squad" else mlqa_tokens(text, language)


def exact(said: list[str], right: list[str]) -> float:
    return float(" ".join(said) == " ".join(right))


def f1(said: list[str], right: list[str]) -> float:
    same = sum((Counter(said) & Counter(right)).values())
    if same == 0:
        return 0.0
    return 2 * (same / len(said)) * (same / len(right)) / (same / len(said) + same / len(right))


@pytest.mark.parametrize(("way", "language"), [("squad", "th"), *(("mlqa", one) for one in MLQA_LANGUAGES)])
def test_every_pair_of_adversarial_answers_scores_as_published(way: str, language: str) -> None:
    pairs = list(product(ADVERSARIAL, ADVERSARIAL))
    gold, said = [(right,) for right, _ in pairs], [one for _, one in pairs]
    split = {text: tokens(way, text, language) for text in ADVERSARIAL}
    for name, formula in (("f1", f1), ("em", exact)):
        found = metric(f"{way}_{name}", ()).statistics(gold, said, language)
        expected = [formula(split[one], split[right]) for right, one in pairs]
        np.testing.assert_array_equal(found[:, 0], expected)
        assert (found[:, 1] == 1).all()
    several = [metric(f"{way}_{name}", ()).statistics(gold, said, language)[:, 0] for name in ("f1", "em", "mean")]
    np.testing.assert_allclose(several[2], (several[0] + several[1]) / 2)


CASES = [
    ("squad_em", ["the"], "", "en", 1.0),  # nothing is left of either
    ("squad_f1", ["the"], "", "en", 0.0),  # but they share no token
    ("squad_f1", ["Denver Broncos", "The Denver Broncos", "Broncos"], "denver", "en", 2 / 3),
    ("squad_em", ["Denver Broncos", "The Broncos"], "broncos!", "en", 1.0),
    ("squad_f1", ["北京大学"], "北京", "zh", 0.0),  # no space, no token of its own
    ("mlqa_f1", ["北京大学"], "北京", "zh", 2 / 3),
    ("squad_em", ["القاهرة"], "قاهرة", "ar", 0.0),
    ("mlqa_em", ["القاهرة"], "قاهرة", "ar", 1.0),
    ("mlqa_em", ["los perros"], "¡Perros!", "es", 1.0),
    ("squad_em", ["perros"], "¡Perros!", "es", 0.0),  # ASCII punctuation alone goes
    ("mlqa_f1", ["der große Hund"], "ein Hund", "de", 2 / 3),
    ("squad_f1", [], "", "en", 1.0),
    ("squad_em", [], "the", "en", 1.0),
    ("squad_mean", [], "cat", "en", 0.0),
    ("squad_mean", ["black cat"], "cat", "en", 1 / 3),
]


@pytest.mark.parametrize(("name", "right", "said", "language", "score"), CASES)
def test_single_answers(name: str, right: list[str], said: str, language: str, score: float) -> None:
    one = metric(name, ())
    assert one.value(one.statistics([right], [said], language).sum(axis=0)) == pytest.approx(score)


def test_a_score_is_the_mean_over_items_and_over_none_of_them_zero() -> None:
    one = metric("squad_f1", ())
    statistics = one.statistics([("cat",), ("dog",), ()], ["cat", "cat", ""], "en")
    assert one.value(statistics.sum(axis=0)) == pytest.approx(2 / 3)
    assert one.value(one.statistics([], [], "en").sum(axis=0)) == 0
    assert one.value(np.stack([statistics[:1].sum(axis=0), statistics[1:2].sum(axis=0)])).tolist() == [1, 0]


def test_the_baseline_gives_no_answer() -> None:
    assert majority_baseline(metric("squad_f1", ()), [("cat",), (), (), ("dog",)], "en") == 0.5


def test_mlqa_knows_its_own_languages_only() -> None:
    with pytest.raises(ValueError, match=r"mlqa_f1 knows en, es, .* not 'th'"):
        metric("mlqa_f1", ()).statistics([("a",)], ["a"], "th")


@pytest.mark.parametrize(
    ("right", "said", "first", "second"),
    [
        # (EM, F1) by the script of SQuAD 1.1, and by that of SQuAD 2.0, of golds that normalise to nothing.
        (["the"], "", (1, 0), (1, 1)),
        (["the"], "a!", (1, 0), (1, 1)),
        (["the"], "cat", (0, 0), (0, 0)),
        (["the", "cat"], "", (1, 0), (0, 0)),
        (["the", "cat"], "cat", (1, 1), (1, 1)),
        (["?", "the"], "", (1, 0), (1, 1)),
        ([], "the", (1, 1), (1, 1)),
        ([], "cat", (0, 0), (0, 0)),
        (["cat"], "the", (0, 0), (0, 0)),
    ],
)
def test_right_answers_of_which_nothing_is_left(
    right: list[str], said: str, first: tuple[int, int], second: tuple[int, int]
) -> None:
    for unanswerable, expected in ((False, first), (True, second)):
        for name, value in zip(("squad_em", "squad_f1"), expected, strict=True):
            one = metric(name, (), unanswerable=unanswerable)
            assert one.statistics([right], [said])[0, 0] == value
    mlqa = [
        metric("mlqa_f1", (), unanswerable=flag).statistics([right], [said], "en").tolist() for flag in (False, True)
    ]
    assert mlqa[0] == mlqa[1], "MLQA's script has no such rule"
