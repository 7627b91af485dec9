"""Words found in arrays are those that an expression finds, text by text; equal words have equal hashes."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from adapterx.tasks import words
from adapterx.tasks.words import hashed, normalised

SINGLE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{SINGLE}]|[^\W{SINGLE}]+")


def texts(count: int) -> list[str]:
    """Random texts over letters, marks, digits, spaces, scripts without spaces, emoji and half a surrogate pair."""
    draw = random.Random(1)
    letters = "abÀßñжعहि07_ \n.,-'️ไทย日本カ語가😀\u0301\u200b\ud800\x85"
    return ["".join(draw.choices(letters, k=draw.randrange(12))) for _ in range(count)]


@pytest.mark.parametrize("at_once", [1, 50, 1 << 21])
def test_words_are_those_of_the_expression(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_AT_ONCE", at_once)
    given = [normalised(text) for text in ["", "one", "x" * 3000, *texts(3000)]]
    expected = [WORD.findall(text) for text in given]
    found = hashed(given)
    assert found.lengths.tolist() == [len(one) for one in expected]
    assert found.singles.tolist() == [sum(bool(re.match(f"[{SINGLE}]", word)) for word in one) for one in expected]
    flat = [word for one in expected for word in one]
    by_word: dict[str, int] = {}
    for word, value in zip(flat, found.hashes.tolist(), strict=True):
        assert by_word.setdefault(word, value) == value
    assert len(by_word) > 500
    assert len(set(by_word.values())) == len(by_word), "different words, different hashes"


def test_nothing_has_no_words() -> None:
    for given in ([], [""], ["..."]):
        found = hashed(given)
        assert len(found.hashes) == 0
        assert found.lengths.tolist() == [0] * len(given)


def test_hashes_are_the_same_on_every_machine() -> None:
    """They are kept in stores."""
    found = hashed([normalised("Größe 日 x")])
    assert found.hashes.dtype == np.uint64
    assert [hex(value) for value in found.hashes.tolist()] == [
        "0x6e8ffff533681987",
        "0xa29470d3364967f4",
        "0xc6f9a76904cb8081",
    ]
