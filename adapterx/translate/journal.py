"""What has been translated so far, from one language into another, so that a killed run goes on where it was.

A file of JSON lines that only grows: the first says which engine translates, each other has the key of a text and its
translation, or why the engine gave none. A line that was cut off by the end of a process is cut away.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from adapterx import stopping
from adapterx.reading import UnreadableFile, parse_json, regular
from adapterx.store import write_text
from adapterx.store.identity import JSON
from adapterx.translate.engines.base import NoTranslation
from adapterx.translate.errors import TranslationError
from adapterx.wording import shown

VERSION = 1
_FRESH = "give another --out, or remove {} to begin anew"


@dataclass(frozen=True)
class Languages:
    """From one language into another."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


class TranslationJournal:
    """The translations of one direction, in memory and in a file.

    Args:
        engine: the identity of the engine.

    Raises TranslationError for the journal of another engine, which it names, and for lines that are no journal's.
    """

    def __init__(self, path: Path, engine: Mapping[str, JSON]) -> None:
        self.path = path
        self._found: dict[bytes, str | NoTranslation] = {}
        if path.exists():
            self._read(engine)
        else:
            header = {"adapterx_translate": VERSION, "engine": engine}
            write_text(path, json.dumps(header, ensure_ascii=False) + "\n")
        self._stream: BinaryIO = path.open("ab")

    def __len__(self) -> int:
        return len(self._found)

    def get(self, text: str) -> str | NoTranslation | None:
        """The translation of a text, or why there is none; None where it has not been translated."""
        return self._found.get(_key(text))

    def add(self, found: Mapping[str, str | NoTranslation]) -> None:
        """Keep translations by their texts; a request to end is heeded when they are written."""
        lines = []
        for text, answer in found.items():
            said = {"refused": answer.reason} if isinstance(answer, NoTranslation) else {"text": answer}
            lines.append(json.dumps({"key": _key(text).hex(), **said}, ensure_ascii=False).encode() + b"\n")
        with stopping.shielded():
            self._stream.write(b"".join(lines))
            self._stream.flush()
        self._found.update((_key(text), answer) for text, answer in found.items())

    def close(self) -> None:
        """Have the file on the disk."""
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()

    def _read(self, engine: Mapping[str, JSON]) -> None:
        try:
            regular(self.path)
        except UnreadableFile as error:
            raise TranslationError(f"{self.path} {error}", self.path) from None
        whole = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                if number == 1:
                    self._check_engine(self._object(line, number), engine)
                else:
                    self._take(self._object(line, number), number)
        if whole == 0:
            raise self._no_journal(1)
        os.truncate(self.path, whole)

    def _object(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            found = parse_json(line)
        except UnreadableFile:
            raise self._no_journal(number) from None
        if not isinstance(found, dict):
            raise self._no_journal(number)
        return found

    def _take(self, found: Mapping[str, Any], number: int) -> None:
        try:
            key = bytes.fromhex(found["key"])
            self._found[key] = NoTranslation(str(found["refused"])) if "refused" in found else str(found["text"])
        except (KeyError, TypeError, ValueError):
            raise self._no_journal(number) from None

    def _check_engine(self, header: Mapping[str, Any], engine: Mapping[str, JSON]) -> None:
        if header.get("adapterx_translate") != VERSION or not isinstance(made := header.get("engine"), dict):
            raise self._no_journal(1)
        if (why := difference(made, engine)) is not None:
            raise TranslationError(
                f"{self.path} holds translations of another engine: {why}; {_FRESH.format(self.path)}", self.path
            )

    def _no_journal(self, number: int) -> TranslationError:
        return TranslationError(f"{self.path}:{number}: is no line of a journal; {_FRESH.format(self.path)}", self.path)


def check_data(path: Path, data: Mapping[str, JSON]) -> None:
    """Note which data a directory's translations are of, with each split's content.

    Raises TranslationError where what is noted there is of others, which it names.

    Args:
        data: `splits` has the content of each split; splits may be added, and all else must be equal.
    """
    made: dict[str, Any] = {}
    if path.exists():
        try:
            regular(path)
            found = parse_json(path.read_bytes())
            made = dict(found)
            splits = dict(made["splits"])
        except (UnreadableFile, TypeError, ValueError, KeyError):
            message = f"{path}: is not what adapterx translate writes; {_FRESH.format(path.parent)}"
            raise TranslationError(message, path) from None
        asked = dict(data["splits"])  # type: ignore[arg-type]  # as this function is called
        old = {**made, "splits": {name: splits[name] for name in splits if name in asked}}
        new = {**data, "splits": {name: asked[name] for name in asked if name in splits}}
        if (why := difference(old, new)) is not None:
            raise TranslationError(
                f"{path.parent} holds translations of other data: {why}; {_FRESH.format(path.parent)}", path.parent
            )
        data = {**data, "splits": {**splits, **asked}}
    write_text(path, json.dumps(data, ensure_ascii=False, indent=1) + "\n")


def difference(made: Mapping[str, Any], asked: Mapping[str, Any], within: str = "") -> str | None:
    """The first thing in which what was made differs from what is asked for, in words; None where they are equal."""
    for key in dict.fromkeys([*made, *asked]):
        one, other = made.get(key), asked.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            if (found := difference(one, other, f"{within}{key}.")) is not None:
                return found
        elif one != other:
            return f"{within}{key} is {shown(one)} there and {shown(other)} now"
    return None


def _key(text: str) -> bytes:
    """Names a text: 128 bits of its SHA-256."""
    return hashlib.sha256(text.encode()).digest()[:16]
