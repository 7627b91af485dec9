"""Answers marked in a passage, and what becomes of the marks."""

from __future__ import annotations

import pytest

from adapterx.translate import marking
from adapterx.translate.marking import chosen, marked, overlapping, unmarked

TAGS = ("<a>", "</a>")


def test_marks_stand_around_the_answer_alone() -> None:
    assert marked("It is blue.", 6, 10, TAGS) == "It is <a>blue</a>."
    assert marked("It is blue today", 5, 11, TAGS) == "It is <a>blue</a> today"
    assert marked("blue", 0, 4, TAGS) == "<a>blue</a>"
    assert marked("of 👩\u200d💻 and é", 3, 6, TAGS) == "of <a>👩\u200d💻</a> and é"


@pytest.mark.parametrize(
    ("translation", "context", "answer"),
    [
        ("Es ist <a>blau</a>.", "Es ist blau.", "blau"),
        ("<a>Blau</a> ist es", "Blau ist es", "Blau"),
        ("Es ist <a>blau</a>", "Es ist blau", "blau"),
        ("<a>blau</a>", "blau", "blau"),
        ("Es ist < A > blau < / A >.", "Es ist blau.", "blau"),
        ("Es ist<a> blau </a>heute", "Es ist blau heute", "blau"),
        ("Es ist <a> blau </a> heute", "Es ist blau heute", "blau"),
        ("Es ist <a>blau </a>.", "Es ist blau.", "blau"),
        ("他在<a>北京</a>。", "他在北京。", "北京"),
        # From right to left the order of characters is the same.
        ("السماء <a>زرقاء</a> اليوم", "السماء زرقاء اليوم", "زرقاء"),
        ("so <a>👩\u200d💻é</a>!", "so 👩\u200d💻é!", "👩\u200d💻é"),
        ("A <a>end of one. Start of two</a> B", "A end of one. Start of two B", "end of one. Start of two"),
    ],
)
def test_marks_are_taken_out(translation: str, context: str, answer: str) -> None:
    made = unmarked(translation, TAGS, spaced=False)
    assert not isinstance(made, str)
    assert (made[0], made[0][made[1] : made[2]]) == (context, answer)


def test_a_space_before_a_point_stays_where_the_source_has_one() -> None:
    made = unmarked("C'est <a>bleu</a> !", TAGS, spaced=True)
    assert made == ("C'est bleu !", 6, 10)
    assert unmarked("C'est <a>bleu</a> !", TAGS, spaced=False) == ("C'est bleu!", 6, 10)


@pytest.mark.parametrize(
    ("translation", "why"),
    [
        ("Es ist blau.", marking.DROPPED),
        ("Es ist <a>blau.", marking.DROPPED),
        ("Es ist blau</a>.", marking.DROPPED),
        ("<a>Es</a> ist <a>blau</a>.", marking.DOUBLED),
        ("Es <a>ist <a>blau</a>.", marking.DOUBLED),
        ("Es </a>ist<a> blau.", marking.REORDERED),
        ("Es ist <a> </a>blau.", marking.EMPTY),
    ],
)
def test_other_marks_are_useless(translation: str, why: str) -> None:
    assert unmarked(translation, TAGS, spaced=False) == why


def test_marks_of_which_the_passage_has_some_are_passed_over() -> None:
    known = (TAGS, ("[[", "]]"))
    assert chosen("plain", known) == TAGS
    assert chosen("an <A> in it", known) == ("[[", "]]")
    assert chosen("a [ [ and a < / a >", known) is None
    assert chosen("plain", ()) is None


def test_marks_must_be_told_apart() -> None:
    assert not overlapping(TAGS)
    assert overlapping(("a", "aa")) and overlapping(("<b>", "<B>"))
