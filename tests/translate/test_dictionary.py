"""The engine `dictionary`, and how engines are named."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from adapterx.translate.engines import registry
from adapterx.translate.engines.base import Engine, EngineOptions
from adapterx.translate.errors import EngineError


def made(written: str, **options: Any) -> Engine:
    return registry.make(written, EngineOptions(**options))


def dictionary(tmp_path: Path, name: str, text: str) -> Engine:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return made(f"dictionary:{tmp_path / name}")


def test_words_keep_their_capitals_and_what_is_unknown_stays(tmp_path: Path) -> None:
    engine = dictionary(tmp_path, "w.tsv", "the\tder\ndog\tHund\nit's\tes ist\n\nNATO\tNato\r\n")
    said = engine.translate(["The dog, it's a 'cat'!  NATO_dog dogs", "⟦dog⟧"], "en", "de")
    assert said == ["Der Hund, es ist a 'cat'!  Nato_Hund dogs", "⟦Hund⟧"]


def test_directions(tmp_path: Path) -> None:
    text = "en\tde\tdog\tHund\nde\ten\tHund\thound\ncat\tCat\n"
    for engine in (
        dictionary(tmp_path, "w.tsv", text),
        dictionary(tmp_path, "w.json", '{"en-de": {"dog": "Hund"}, "de-en": {"Hund": "hound"}, "cat": "Cat"}'),
    ):
        assert engine.translate(["dog"], "en", "de") == ["Hund"]
        assert engine.translate(["Hund"], "de", "en") == ["hound"]
        assert engine.translate(["cat dog"], "en", "sw") == ["Cat dog"]
        assert engine.identity("en", "de") != engine.identity("de", "en")


def test_a_direction_without_words_is_refused(tmp_path: Path) -> None:
    engine = dictionary(tmp_path, "w.tsv", "en\tde\tdog\tHund\n")
    engine.check("en", "de")
    with pytest.raises(EngineError, match=r"w\.tsv: has no words from en to sw; it has en-de"):
        engine.check("en", "sw")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("w.tsv", "a\tb\nc\n", r"w\.tsv:2: has 1 columns; a line is WORD TAB TRANSLATION"),
        ("w.tsv", "", "has no words"),
        ("w.json", "[]", "should be a JSON object"),
        ("w.json", "{", "is not JSON"),
        ("w.json", '{"en-de": 3}', "'en-de' should be a text or an object of words"),
        ("w.json", '{"en-de": {"a": 1}}', "'a' of 'en-de' should be a text"),
    ],
)
def test_files_that_are_no_dictionary(tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        dictionary(tmp_path, name, text)


@pytest.mark.parametrize(
    ("written", "options", "told"),
    [
        ("dictonary:x", {}, "did you mean 'dictionary'"),
        ("dictionary", {}, "it is written dictionary:FILE"),
        ("dictionary: ", {}, "it is written dictionary:FILE"),
        ("argos:x", {}, "it is written argos"),
        ("dictionary:nowhere.tsv", {}, "nowhere.tsv: no such file"),
        ("dictionary:x", {"beams": 2}, "--beams is no option of the engine dictionary"),
        ("command:x", {"codes": {"de": "deu"}}, "--codes is no option of the engine command"),
    ],
)
def test_engines_that_cannot_be_had(written: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineError, match=told):
        made(written, **options)


def test_argos_says_what_to_install() -> None:
    with pytest.raises(EngineError, match="install it \\(pip install argostranslate\\)"):
        made("argos")


class _Pair:
    def __init__(self, target: str) -> None:
        self._target = target

    def translate(self, text: str) -> str:
        if text == "bad":
            raise RuntimeError("no memory for you")
        return f"{text} → {self._target}"


@pytest.fixture
def argos(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Stand-ins of the library's modules, with English, German and Traditional Chinese."""
    packages = [SimpleNamespace(from_code="en", to_code="de", package_version="1.3")]

    def language(code: str) -> SimpleNamespace:
        there = {("en", "de"), ("en", "zt")}
        return SimpleNamespace(
            code=code, get_translation=lambda other: _Pair(other.code) if (code, other.code) in there else None
        )

    translate, package = ModuleType("argostranslate.translate"), ModuleType("argostranslate.package")
    translate.get_installed_languages = lambda: [language(code) for code in ("en", "de", "zt")]  # type: ignore[attr-defined]
    package.get_installed_packages = lambda: packages  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "argostranslate", ModuleType("argostranslate"))
    monkeypatch.setitem(sys.modules, "argostranslate.translate", translate)
    monkeypatch.setitem(sys.modules, "argostranslate.package", package)
    return packages


def test_argos_translates_with_the_packages_there_are(argos: list[SimpleNamespace]) -> None:
    engine = made("argos", codes={"zh": "zt"})
    engine.check("en", "de")
    assert engine.translate(["a", "b"], "en", "de") == ["a → de", "b → de"]
    assert engine.translate(["a"], "en", "zh") == ["a → zt"]
    before = engine.identity("en", "de")
    argos[0].package_version = "1.4"
    assert engine.identity("en", "de") != before
    with pytest.raises(EngineError, match="no package from de to en \\(installed languages: de, en, zt\\)"):
        engine.check("de", "en")
    with pytest.raises(EngineError, match="no package from en to sw"):
        engine.check("en", "sw")


def test_what_argos_raises_is_told_and_what_it_had_done_is_kept(argos: list[SimpleNamespace]) -> None:
    with pytest.raises(EngineError, match="argostranslate: no memory for you") as raised:
        made("argos").translate(["a", "bad", "c"], "en", "de")
    assert raised.value.done == {0: "a → de"}
