from __future__ import annotations

import json

import pytest

from adapterx.tasks.examples import Example
from adapterx.tasks.items import ItemError, read
from adapterx.tasks.kinds import kind
from adapterx.tasks.kinds.multiple_choice import ChoiceExample
from adapterx.tasks.kinds.pair_classification import PairExample
from adapterx.tasks.kinds.tagging import TaggingExample

LABELS = ("first", "second")


def one(format_: str, **fields: object) -> Example:
    (example,) = read([json.dumps(fields, ensure_ascii=False)], "items.jsonl", kind(format_), LABELS)
    return example


def test_items_have_the_fields_of_their_format() -> None:
    assert one("pair-classification", text="a") == PairExample("1", "a", None, 0)
    assert one("pair-classification", id="x", text="a", text_pair="") == PairExample("x", "a", "", 0)
    assert one("pair-classification", text="a", text_pair=None, label="yes") == PairExample("1", "a", None, 0)
    assert one("tagging", id=7, words=["我", "们"], tags=["X", "Y"]) == TaggingExample("7", ("我", "们"), (0, 0))
    assert one("multiple-choice", context="", choices=["a", "b"]) == ChoiceExample("1", "", ("a", "b"), 0)


def test_blank_lines_are_skipped_and_counted() -> None:
    examples = read(["", '{"text": "a"}', "  ", '{"text": "b"}', ""], "-", kind("pair-classification"), LABELS)
    assert [example.id for example in examples] == ["2", "4"]


MISTAKES: dict[str, tuple[str, str, str]] = {
    "json": ("tagging", "{", "is not JSON"),
    "object": ("tagging", "[1]", "is not a JSON object"),
    "missing": ("pair-classification", '{"id": 1}', "lacks the field 'text'"),
    "unknown": ("pair-classification", '{"text": "a", "text_pear": "b"}', r"unknown field 'text_pear' \(did you mean"),
    "number": ("pair-classification", '{"text": 3}', "text: should be a text, not 3"),
    "id": ("pair-classification", '{"text": "a", "id": [1]}', "id: should be a text or a whole number"),
    "words": ("tagging", '{"words": "a b"}', "words: should be a list of texts, not 'a b'"),
    "no-words": ("tagging", '{"words": []}', r"words: should be a list of texts, not \[\]"),
    "no-context": ("multiple-choice", '{"choices": ["a"]}', "lacks the field 'context'"),
    "choices": ("multiple-choice", '{"context": "", "choices": ["a", "b", "c"]}', "choices: 3 are more than the 2"),
}


STRANGE: dict[str, tuple[str, str, str]] = {
    "long": ("pair-classification", json.dumps({"text": "x" * 1_000_001}), "has more than 1,000,000 characters"),
    "deep": ("pair-classification", '{"text": ' + "[" * 100_000, "is (nested too deeply|not JSON)"),
    "half": ("pair-classification", '{"text": "\\ud800"}', "holds half of a surrogate pair"),
    "nan": ("pair-classification", '{"text": NaN}', "holds NaN, which is no JSON number"),
    "digits": ("pair-classification", '{"text": ' + "9" * 5000 + "}", "is not JSON"),
    "escape": ("pair-classification", '{"\\u001b[31mtext": "a"}', r"unknown field '\\x1b\[31mtext'"),
    "long-key": ("pair-classification", json.dumps({"k" * 100_000: 1}), "unknown field 'k{60,80}…"),
    "long-value": (
        "tagging",
        json.dumps({"words": "w" * 100_000}),
        "words: should be a list of texts, not 'w{60,80}…$",
    ),
    "true": ("tagging", '{"words": true}', "words: should be a list of texts, not True"),
    "nested": ("multiple-choice", '{"context": "", "choices": [["a"]]}', "choices: should be a list of texts"),
    "null": ("multiple-choice", '{"context": "", "choices": ["a", null]}', "choices: should be a list of texts"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_strangers_send_is_refused_within_bounds(name: str) -> None:
    format_, line, message = STRANGE[name]
    with pytest.raises(ItemError, match=f"^items.jsonl:1: {message}") as refused:
        read([line], "items.jsonl", kind(format_), LABELS)
    assert len(str(refused.value)) < 300 and str(refused.value).isprintable()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_field(name: str) -> None:
    format_, line, message = MISTAKES[name]
    with pytest.raises(ItemError, match=f"^items.jsonl:2: {message}"):
        read(["", line], "items.jsonl", kind(format_), LABELS)
