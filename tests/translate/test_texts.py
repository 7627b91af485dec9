"""What is asked of a translated text."""

from __future__ import annotations

import pytest

from adapterx.translate.scripts import is_other
from adapterx.translate.texts import fault, is_copy, normalised


def test_a_text_is_put_on_one_line() -> None:
    assert normalised(" a\r\n\tb\x00c\u2028d\x85 ") == "a b c d"
    # What joins letters and says in which direction they go are characters of texts.
    assert normalised("می\u200cخواهم \u200fx") == "می\u200cخواهم \u200fx"


@pytest.mark.parametrize(
    ("source", "translation", "why"),
    [
        ("a dog", "ein Hund", ""),
        ("x" * 300, "中" * 90, ""),
        ("中" * 90, "x" * 400, ""),
        ("no", "nein, auf gar keinen Fall", ""),
        ("a dog", "", "the engine gave nothing"),
        ("a dog", "\u200b\ufeff", "the engine gave nothing"),
        ("no", "no " * 11, "33 characters for 2 are too many"),
        ("x" * 100, "x" * 521, "521 characters for 100 are too many"),
        ("x" * 100, "x" * 520, ""),
        ("x" * 121, "x" * 10, "10 characters for 121 are too few"),
        ("x" * 120, "x" * 10, ""),
        ("a dog", "ein \ud83d", "half of a surrogate pair"),
    ],
)
def test_bounds(source: str, translation: str, why: str) -> None:
    found = fault(source, translation)
    assert (why in found) if why else found == ""


def test_copies() -> None:
    assert is_copy("Berlin", " Berlin") and is_copy("Cafe\u0301", "Café")
    assert not is_copy("Berlin", "berlin")
    assert not is_copy("1066!", "1066!")  # there is nothing to translate


@pytest.mark.parametrize(
    ("text", "language", "other"),
    [
        ("Привет, мир", "ru", False),
        ("Hello world", "ru", True),
        ("Windows это система", "ru", False),
        ("漢字とかな", "ja", False),
        ("한국어", "ja", True),
        ("中文", "zh", False),
        ("Deutsch", "de", False),
        ("Ελλάδα", "de", True),
        ("ქართული", "ka", False),
        ("العربية", "ur", False),
        ("srpski", "sr-Latn", False),
        ("srpski", "sr", True),
        ("1066!", "ru", False),
        ("anything", "xx", False),
    ],
)
def test_scripts(text: str, language: str, other: bool) -> None:
    assert is_other(text, language) is other
