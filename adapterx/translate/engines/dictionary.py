"""Word by word from a file: for tests and demonstrations, no translation that anybody should learn from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapterx.places import expanded
from adapterx.reading import MEGABYTE, UnreadableFile, parse_json, read_text
from adapterx.store import fingerprint
from adapterx.store.identity import JSON
from adapterx.translate.engines.base import EngineOptions, Markers
from adapterx.translate.errors import EngineError
from adapterx.wording import shown

Words = dict[str, str]
ANY = ""
"""The direction of words that serve for every pair of languages."""
_LARGEST = 200 * MEGABYTE
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MARKERS: tuple[Markers, ...] = (("⟦", "⟧"), ("[[", "]]"), ("{{", "}}"))
"""No letters, so no words."""


def make(argument: str, options: EngineOptions) -> DictionaryEngine:
    """The dictionary in a file. Raises EngineError naming file and line."""
    path = expanded(argument)
    try:
        text = read_text(path, _LARGEST)
        words = _json(path, text) if path.suffix == ".json" else _tsv(path, text)
    except FileNotFoundError:
        raise EngineError(f"{path}: no such file; --engine dictionary:FILE reads a .json or .tsv file", path) from None
    except UnreadableFile as error:
        raise EngineError(f"{path}: {error}", path) from None
    if not any(words.values()):
        raise EngineError(f"{path}: has no words", path)
    return DictionaryEngine(path, words, _MARKERS if options.markers is None else options.markers)


class DictionaryEngine:
    """Replaces the words that it knows; all else stays as it is."""

    name = "dictionary"

    def __init__(self, path: Path, words: Mapping[str, Words], markers: Sequence[Markers]) -> None:
        self.path, self.markers = path, markers
        self._words = words
        """By direction, `en-de`, or ANY."""

    def check(self, source: str, target: str) -> None:
        """Refuse a direction of which the file has no word."""
        if not self._of(source, target):
            known = ", ".join(sorted(self._words))
            raise EngineError(f"{self.path}: has no words from {source} to {target}; it has {known}", self.path)

    def identity(self, source: str, target: str) -> Mapping[str, JSON]:
        """The file's name, and a hash of the words."""
        return {"engine": self.name, "file": self.path.name, "words": fingerprint(self._of(source, target))}

    def versions(self) -> Mapping[str, str]:
        """None: no library is used."""
        return {}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The texts with their words replaced."""
        words = self._of(source, target)
        return [_WORD.sub(lambda found: _replaced(found[0], words), text) for text in texts]

    def close(self) -> None:
        """Nothing has been started."""

    def _of(self, source: str, target: str) -> Words:
        return self._words.get(f"{source}-{target}") or self._words.get(ANY, {})


def _replaced(word: str, words: Words) -> str:
    """What a word becomes: by its own spelling, else by its small letters, with a capital where it had one."""
    if word in words:
        return words[word]
    found = words.get(word.lower())
    if found is None:
        return word
    return found[:1].upper() + found[1:] if word[:1].isupper() else found


def _json(path: Path, text: str) -> dict[str, Words]:
    """{"word": "Wort"}, or {"en-de": {"word": "Wort"}}."""
    content = parse_json(text)
    if not isinstance(content, dict):
        raise EngineError(f"{path}: should be a JSON object of words, or of directions such as 'en-de'", path)
    flat = {key: value for key, value in content.items() if isinstance(value, str)}
    found = {ANY: flat} if flat else {}
    for direction, words in content.items():
        if direction in flat:
            continue
        if not isinstance(words, dict):
            raise EngineError(f"{path}: {shown(direction)} should be a text or an object of words", path)
        if wrong := [word for word, meant in words.items() if not isinstance(meant, str)]:
            raise EngineError(f"{path}: {shown(wrong[0])} of {shown(direction)} should be a text", path)
        found[direction] = words
    return found


def _tsv(path: Path, text: str) -> dict[str, Words]:
    """`word TAB Wort` a line, or `en TAB de TAB word TAB Wort`; blank lines do not count."""
    found: dict[str, Words] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        cells = line.removesuffix("\r").split("\t")
        if len(cells) not in (2, 4):
            raise EngineError(
                f"{path}:{number}: has {len(cells)} columns; a line is WORD TAB TRANSLATION, or FROM TAB TO TAB WORD"
                " TAB TRANSLATION",
                path,
            )
        direction = ANY if len(cells) == 2 else f"{cells[0]}-{cells[1]}"
        found.setdefault(direction, {})[cells[-2]] = cells[-1]
    return found
