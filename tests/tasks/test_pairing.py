"""Examples that pair languages: the first text of one, the second of another, of the same item."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapterx.tasks import data, pairing
from adapterx.tasks.catalog import find
from adapterx.tasks.kinds import kinds
from adapterx.tasks.kinds.extractive_qa import Answer, QAExample
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.regression import ScoredPair

LANGUAGES = ("de", "en", "sw", "zh")


def test_every_item_has_its_first_text_in_each_language_and_its_second_in_another() -> None:
    spec = find("time-order", None)
    source = next(iter(spec.sources))
    own: dict[str, dict[str, Any]] = {
        code: {one.id: one for one in data.stream(spec, source, code, "train")} for code in LANGUAGES
    }
    found = pairing.paired(spec, source, LANGUAGES, "train")
    assert {code: [one.id for one in made] for code, made in found.items()} == {c: [*own[c]] for c in LANGUAGES}
    seconds = Counter[tuple[str, str]]()
    for first, made in found.items():
        for one in made:
            assert isinstance(one, PairExample) and one.text == own[first][one.id].text
            (second, *_) = [c for c in LANGUAGES if c != first and own[c][one.id].text_pair == one.text_pair]
            assert one.label == own[first][one.id].label
            seconds[first, second] += 1
    each = sum(seconds.values()) / 12
    assert len(seconds) == 12 and all(abs(count - each) < 0.25 * each for count in seconds.values())


def test_the_pairs_follow_from_the_items_alone() -> None:
    spec = find("time-order", None)
    source = next(iter(spec.sources))
    whole = pairing.paired(spec, source, LANGUAGES, "train")
    assert pairing.paired(spec, source, LANGUAGES[::-1], "train") == {code: whole[code] for code in LANGUAGES[::-1]}


PASSAGE, ANSWERS = "ein Haus am See", (Answer("Haus", 4),)
ITEMS: dict[str, tuple[Any, Any, Any]] = {
    "a pair": (PairExample("1", "a", "b", 1), PairExample("1", "A", "B", 1), PairExample("1", "a", "B", 1)),
    "another label": (PairExample("1", "a", "b", 1), PairExample("1", "A", "B", 0), None),
    "one text": (PairExample("1", "a", None, 1), PairExample("1", "A", None, 1), None),
    "a score": (ScoredPair("1", "a", "b", 0.5), ScoredPair("1", "A", "B", 0.5), ScoredPair("1", "a", "B", 0.5)),
    "another score": (ScoredPair("1", "a", "b", 0.5), ScoredPair("1", "A", "B", 0.6), None),
    "choices": (
        ChoiceExample("1", "a", ("b", "c"), 1),
        ChoiceExample("1", "A", ("B", "C"), 1),
        ChoiceExample("1", "a", ("B", "C"), 1),
    ),
    "fewer choices": (ChoiceExample("1", "a", ("b", "c", "d"), 1), ChoiceExample("1", "A", ("B", "C"), 1), None),
    "no context": (ChoiceExample("1", "", ("b", "c"), 1), ChoiceExample("1", "", ("B", "C"), 1), None),
    "a passage": (
        QAExample("1", "what is it?", "a house by the lake", (Answer("house", 2),)),
        QAExample("1", "was ist das?", PASSAGE, ANSWERS),
        QAExample("1", "what is it?", PASSAGE, ANSWERS),
    ),
    "no answer in one": (QAExample("1", "what?", "a house", ()), QAExample("1", "was?", PASSAGE, ANSWERS), None),
}


@pytest.mark.parametrize("name", ITEMS)
def test_of_every_kind_the_second_text_is_the_others(name: str) -> None:
    first, second, made = ITEMS[name]
    (kind,) = [one for one in kinds().values() if one.example is type(first)]
    assert not kind.unpaired and kind.paired(first, second) == made


def test_kinds_without_a_second_text_say_why() -> None:
    assert {name for name, one in kinds().items() if one.unpaired} == {"tagging", "masked-lm", "retrieval"}
