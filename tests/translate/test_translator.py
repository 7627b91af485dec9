"""Texts through an engine, and what is kept of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapterx.store import JSON
from adapterx.translate.engines.base import NoTranslation
from adapterx.translate.errors import EngineError, TranslationError
from adapterx.translate.journal import Languages, TranslationJournal, check_data
from adapterx.translate.translator import Answer, opened, route
from tests.translate.engines import Fake

TO = [Languages("en", "de")]
BACK = [Languages("en", "de"), Languages("de", "en")]


def upper(text: str, source: str, target: str) -> str:
    return f"{text.upper()} ({target})"


def through(
    engine: Fake, folder: Path, texts: list[str], legs: list[Languages] = TO, batch: int = 2
) -> tuple[list[Answer], int]:
    told: list[int] = []
    with opened(engine, legs, folder, batch, told.append) as translator:
        return translator(texts), sum(told)


def test_each_distinct_text_is_translated_once(tmp_path: Path) -> None:
    engine = Fake(upper)
    made, told = through(engine, tmp_path, ["b", "a", "", " ", "b", "a long one"])
    assert made == ["B (de)", "A (de)", "", " ", "B (de)", "A LONG ONE (de)"]
    # Texts of a length go together.
    assert engine.batches == [["a", "b"], ["a long one"]] and told == 3


def test_what_is_in_the_journal_is_not_asked_again(tmp_path: Path) -> None:
    through(Fake(upper), tmp_path, ["a", "b"])
    engine = Fake(upper)
    made, told = through(engine, tmp_path, ["b", "c"])
    assert (made, engine.asked, told) == (["B (de)", "C (de)"], ["c"], 1)


def test_there_and_back(tmp_path: Path) -> None:
    engine = Fake(upper)
    made, _ = through(engine, tmp_path, ["a", ""], BACK)
    assert made == ["A (DE) (en)", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["de-en.jsonl", "en-de.jsonl"]
    # The way there serves a translation into that language too.
    again = Fake(upper)
    assert through(again, tmp_path, ["a"]) == (["A (de)"], 0)
    assert not again.batches


def test_routes() -> None:
    assert route("en", "de", None) == (Languages("en", "de"),)
    assert route("en", "de", "de") == (Languages("en", "de"),)
    assert route("en", "en", "de") == (Languages("en", "de"), Languages("de", "en"))
    assert route("en", "sw", "de") == (Languages("en", "de"), Languages("de", "sw"))


def test_what_is_not_believed_is_refused_with_its_reason(tmp_path: Path) -> None:
    said: dict[str, str | NoTranslation] = {
        "nothing": "\n",
        "too much": "x" * 1000,
        "rude": NoTranslation("too rude"),
        "half": "a \ud83d",
        "lines": " two\nlines\t",
    }
    engine = Fake(lambda text, source, target: said[text])
    made, _ = through(engine, tmp_path, [*said, "ha\ud83d"])
    assert [answer.reason if isinstance(answer, NoTranslation) else answer for answer in made] == [
        "the engine gave nothing",
        "1,000 characters for 8 are too many (the bound is 5 times as many and 20)",
        "too rude",
        "the engine's text is no text: it holds half of a surrogate pair, which is no character",
        "two lines",
        "it holds half of a surrogate pair, which is no character",
    ]
    # A second call asks nothing, not even what was refused.
    again = Fake(lambda text, source, target: said[text])
    assert through(again, tmp_path, [*said])[0] == made[:-1] and not again.batches


def test_what_is_lost_on_the_way_is_told_so(tmp_path: Path) -> None:
    engine = Fake(lambda text, source, target: "" if target == "de" else text)
    made, _ = through(engine, tmp_path, ["a"], BACK)
    assert made == [NoTranslation("into de, on the way: the engine gave nothing")]
    assert engine.asked == ["a"]


def test_what_an_engine_had_done_of_a_batch_is_kept(tmp_path: Path) -> None:
    class Failing(Fake):
        def translate(self, texts: Any, source: str, target: str) -> Any:
            raise EngineError("broken", done={0: "A\n"})

    with pytest.raises(EngineError, match="broken"):
        through(Failing(upper), tmp_path, ["a", "b"])
    engine = Fake(upper)
    assert through(engine, tmp_path, ["a", "b"])[0] == ["A", "B (de)"] and engine.asked == ["b"]


def test_an_engine_that_gives_too_few_texts(tmp_path: Path) -> None:
    class Short(Fake):
        def translate(self, texts: Any, source: str, target: str) -> Any:
            return ["one"]

    with pytest.raises(EngineError, match="the engine fake gave 1 texts for 2"):
        through(Short(upper), tmp_path, ["a", "b"])


def test_the_journal_of_another_engine_is_refused_by_name(tmp_path: Path) -> None:
    through(Fake(upper), tmp_path, ["a"])
    with pytest.raises(TranslationError) as raised:
        through(Fake(upper, version=2), tmp_path, ["a"])
    assert "en-de.jsonl holds translations of another engine: version is 1 there and 2 now" in str(raised.value)
    assert "--out" in str(raised.value) and raised.value.where == tmp_path / "en-de.jsonl"


def test_a_line_that_was_cut_off_is_cut_away(tmp_path: Path) -> None:
    through(Fake(upper), tmp_path, ["a", "b"])
    path = tmp_path / "en-de.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    engine = Fake(upper)
    assert through(engine, tmp_path, ["a", "b"])[0] == ["A (de)", "B (de)"]
    assert engine.asked == ["b"] and path.read_bytes() == whole


def _junk(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"{}\n")


def _headless(path: Path) -> None:
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(("spoil", "line"), [(_junk, 4), (_headless, 1), (_empty, 1)])
def test_what_is_no_journal_is_refused(tmp_path: Path, spoil: Callable[[Path], None], line: int) -> None:
    through(Fake(upper), tmp_path, ["a", "b"])
    path = tmp_path / "en-de.jsonl"
    spoil(path)
    with pytest.raises(TranslationError, match=rf"en-de\.jsonl:{line}: is no line of a journal"):
        TranslationJournal(path, {"engine": "fake", "version": 1})


def test_data_of_others_are_refused_by_name_and_splits_may_be_added(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "task.json"
    data: dict[str, JSON] = {"task": "mnli", "language": "en", "splits": {"train": "a"}}
    check_data(path, data)
    check_data(path, {**data, "splits": {"dev": "b"}})
    assert json.loads(path.read_text())["splits"] == {"train": "a", "dev": "b"}
    check_data(path, data)
    with pytest.raises(TranslationError, match="of other data: task is 'mnli' there and 'snli' now"):
        check_data(path, {**data, "task": "snli"})
    with pytest.raises(TranslationError, match=r"of other data: splits\.train is 'a' there and 'c' now"):
        check_data(path, {**data, "splits": {"train": "c"}})
    path.write_text("[]")
    with pytest.raises(TranslationError, match=r"task\.json: is not what adapterx translate writes"):
        check_data(path, data)
