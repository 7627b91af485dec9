"""Answers found again in translated passages."""

from __future__ import annotations

import pytest

from adapterx.translate.finding import best, folded, occurrences


def found(context: str, wanted: str) -> list[str]:
    return [context[one.start : one.end] for one in occurrences(context, wanted)]


@pytest.mark.parametrize(
    ("context", "wanted", "expected"),
    [
        ("Sie kam aus Köln.", "Köln", ["Köln"]),
        ("Sie kam aus KÖLN.", "köln", ["KÖLN"]),
        ("Il vient de l'Élysée, dit-on.", "elysee", ["Élysée"]),
        ("Im Jahr 1066, dann", "Jahr 1066.", ["Jahr 1066"]),
        ("ein gut-gemeinter Rat", "gut gemeinter", ["gut-gemeinter"]),
        ("Die Straße ist lang", "STRASSE", ["Straße"]),
        # Whatever is found stands whole in the passage, the accents of its last letter too.
        ("un cafe\u0301 noir", "cafe", ["cafe\u0301"]),
        ("ein Cafe\u0301.", "Caf\u00e9", ["Cafe\u0301"]),
        # Arabic without its vowels and with a lengthened line, between marks of direction.
        ("ولد في \u200fمُحَمَّد\u200f هنا", "محمد", ["مُحَمَّد"]),
        ("العـــربية لغة", "العربية", ["العـــربية"]),
        ("שָׁלוֹם עולם", "שלום", ["שָׁלוֹם"]),
        # Vowel signs of Devanagari are letters.
        ("कुल मिलाकर", "कल", []),
        # Scripts without spaces.
        ("他出生在北京市。", "北京", ["北京"]),
        ("ฉันอยู่กรุงเทพมหานคร", "กรุงเทพ", ["กรุงเทพ"]),
        # Within a word there is no answer, but an ending may stand on one.
        ("the training art of Martha", "art", ["art"]),
        ("Martha", "art", []),
        ("Se on Helsingissä nyt", "Helsingi", ["Helsingissä"]),
        ("Ankara'da doğdu", "Ankara", ["Ankara"]),
        ("הוא נולד בירושלים", "ירושלים", ["בירושלים"]),
        ("Bahnhofsvorstandsgehilfe", "Bahnhof", []),
        # Signs that are made of several characters are not cut.
        ("a 👩\u200d💻 works", "👩", []),
        ("a 👩\u200d💻 works", "👩\u200d💻", ["👩\u200d💻"]),
        ("👍🏽 yes", "👍", []),
        ("🇩🇪 won", "🇩", []),
        ("we ❤\ufe0f it", "❤", ["❤\ufe0f"]),
        # Nothing but punctuation is found letter by letter or not at all.
        ("he said !? then", "!?", ["!?"]),
        ("he said nothing", "!?", []),
        ("anything", "  ", []),
        ("", "word", []),
    ],
)
def test_what_is_found(context: str, wanted: str, expected: list[str]) -> None:
    assert found(context, wanted) == expected


def test_the_tightest_matches_hide_the_looser_ones() -> None:
    assert found("us and US and U.S.", "US") == ["US"]
    assert found("us and U.S.", "US") == ["us", "U.S"]
    assert found("Berlin und Berlins", "Berlin") == ["Berlin"]


def test_overlapping_occurrences_are_all_found() -> None:
    assert [one.start for one in occurrences("ha ha ha", "ha ha")] == [0, 3]


def test_folding_remembers_places() -> None:
    text = "  Öl – und ß"
    made = folded(text)
    assert made.text == "ol und ss"
    assert [text[place] for place in made.places] == ["Ö", "l", " ", "u", "n", "d", " ", "ß", "ß"]
    # Half of what one character became is no match: it would cut the character.
    assert found("groß", "gros") == []


SOURCE = "Paris is large. In Paris there is a tower. Rome is old. Paris sleeps."


@pytest.mark.parametrize(("start", "which"), [(0, 0), (19, 2), (SOURCE.rindex("Paris"), 3)])
def test_the_sentence_decides_where_both_have_as_many(start: int, which: int) -> None:
    # The first sentence is much longer in translation and names the answer twice: neither shares nor numbers agree.
    long = "Paris ist eine sehr, sehr große und überaus bevölkerte Hauptstadt, und Paris hat viele Viertel und Gassen."
    context = f"{long} In Paris ist ein Turm. Rom ist alt. Paris ruht."
    places = occurrences(context, "Paris")
    assert len(places) == 4
    assert best(places, context, SOURCE, start, start + 5) == places[which]


def test_within_a_sentence_its_number_decides_where_both_have_as_many() -> None:
    source = "The red cat, the red dog, and a red house that has stood here for many and many a year"
    context = "Die rote, wunderbar anzusehende und überaus zutrauliche Katze, der rote Hund, ein rotes Haus"
    whole = occurrences(context.replace("rotes", "rote"), "rote")
    for number, start in enumerate(one.start for one in occurrences(source, "red")):
        assert best(whole, context, source, start, start + 3) == whole[number]


def test_within_a_sentence_or_where_sentences_differ_the_share_decides() -> None:
    context = "Paris, und nochmals Paris, und dann Paris"
    places = occurrences(context, "Paris")
    source = "Paris, and again Paris, and then Paris"
    assert best(places, context, source, 0, 5) == places[0]
    assert best(places, context, source, 17, 22) == places[1]
    assert best(places, context, source, 33, 38) == places[2]
    assert best(places, context, "One. Two. Three Paris.", 16, 21) == places[2]
