"""Regular expressions of strangers: what Python's own matcher says, in polynomial time."""

from __future__ import annotations

import random
import re

import pytest

from adapterx.files.patterns import LONGEST, Pattern, PatternError

KEYS = [
    f"{stem}encoder.layer.{layer}.{end}"
    for stem in ("", "roberta.")
    for layer in (0, 3, 11)
    for end in ("attention.self.query", "attention.output.dense", "intermediate.dense", "output.dense")
]
USUAL = [
    r".*query",
    r".*\.(query|value)",
    r".*layer\.[12]\d?\.attention\.self\.(query|key)",
    r"^(?!.*attention).*dense$",
    r"(?:roberta\.)?encoder\.layer\.(?:0|3)\..*",
    r".*layer\.(?P<index>\d+)\..*dense",
    r".*(?<=output)\.dense",
    r".*(?<!attention\.output)\.dense",
    r"(?i).*QUERY",
    r".*(?i:Dense)",
    r"[^q]*output.dense",
    r".*?\bself\b.*",
    r"\A\w+(\.\w+){4,5}\Z",
    r"encoder.*|roberta.*query",
    r"(.*\.)?dense",
    r"((a*)*)*.*query",
    r"(?:(?:)*|x)*.*",
    r"[\w.]{10,}",
    r"(?!)",
    r".*layer\.1{2}\..*",
    "query",
    "",
]


@pytest.mark.parametrize("text", USUAL)
def test_usual_expressions_match_as_in_python(text: str) -> None:
    pattern = Pattern(text)
    for key in KEYS:
        assert pattern.fullmatch(key) == (re.fullmatch(text, key) is not None), key


def grown(draw: random.Random, depth: int) -> str:
    """A random expression over three letters and a dot."""
    if depth == 0:
        return draw.choice(["a", "b", ".", r"\.", "[ab]", "[^a]", r"\w", r"\W", r"\b", "^", "$", ""])
    one, other = grown(draw, depth - 1), grown(draw, depth - 1)
    kind = draw.randrange(8)
    if kind < 2:
        return f"(?:{one}){draw.choice(['*', '+', '?', '*?', '{1,2}', '{2}', '{0,3}?', '{2,}'])}"
    return [f"({one}|{other})", f"(?={one}){other}", f"(?!{one}){other}", *[f"{one}{other}"] * 3][kind - 2]


def test_random_expressions_match_as_in_python() -> None:
    draw = random.Random(7)
    texts = ["", "a", "ab", "a.b", "aab.", ".", "ba.ab", "aaaa"]
    for _ in range(600):
        text = grown(draw, 3)
        pattern = Pattern(text)
        found = [pattern.fullmatch(one) for one in texts]
        assert found == [re.fullmatch(text, one) is not None for one in texts], text


@pytest.mark.parametrize(
    "text",
    [r"(([a-z.0-9]+)+)+!", r"(.*)*(.*)*(.*)*!", r"(a|a|[a-z.]|\w)*#", r"([a-z]+[.]?)+\d?(\w*\.?)*@", ".*" * 60 + "!"],
)
def test_what_takes_python_for_ever_is_answered(text: str) -> None:
    pattern = Pattern(text)
    assert not any(pattern.fullmatch(f"roberta.encoder.layer.{layer}.attention.output.dense") for layer in range(24))
    assert pattern._steps < 2_000_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(query", "is not a regular expression"),
        ("*", "is not a regular expression"),
        (r"(?<=a+)b", "is not a regular expression"),
        (r"(.)\1", "has a reference to a group"),
        (r"(a)?(?(1)b|c)", "has a reference to a group"),
        ("(?>.*)a", "has an atomic group or a possessive repeat"),
        (".*+", "has an atomic group or a possessive repeat"),
        ("x" * (LONGEST + 1), "has 10,001 characters"),
        ("(" * 4000 + ")" * 4000, "is nested too deeply"),
        ("(?:" * 90 + "a" + ")*" * 90, None),
        ("a{99999999999999999999}", "is not a regular expression"),
    ],
)
def test_what_cannot_be_matched_is_refused(text: str, why: str | None) -> None:
    if why is None:
        assert Pattern(text).fullmatch("aaa")
        return
    with pytest.raises(PatternError, match=why):
        Pattern(text).fullmatch("encoder.layer.0.output.dense")


def test_large_counts_cost_nothing() -> None:
    assert Pattern("a{3,2000000000}").fullmatch("aaaa")
    assert not Pattern("(a{1000}){1000}").fullmatch("a" * 60)
    assert Pattern("((a?){1000}){1000}").fullmatch("a" * 60)


def test_too_many_steps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterx.files.patterns._MOST_STEPS", 50)
    with pytest.raises(PatternError, match="takes too long to match"):
        Pattern(".*.*.*!").fullmatch("encoder.layer.0")
