"""Which tokenizer belongs to a backbone: noted by whoever loads it, for plans, which find stored tokens by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adapterx.reading import UnreadableFile, read_json
from adapterx.store import fingerprint, write_json


@dataclass(frozen=True)
class KnownTokenizer:
    """A tokenizer, as far as stored tokens tell of it."""

    key: str
    """Names its content: equal keys, equal tokens."""
    special: tuple[int, ...]
    """Ids of its special tokens, whether or not they occur in a text."""


class KnownTokenizers:
    """Notes in a directory, which the first one creates. Any may be deleted at any time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def note(self, backbone: str, key: str, special: Sequence[int]) -> None:
        """Note the tokenizer of a backbone, named by its content; where that cannot be written, plans know less."""
        if self.find(backbone) != (found := KnownTokenizer(key, tuple(special))):
            with suppress(OSError):
                write_json(self._path(backbone), {"tokenizer": found.key, "special": list(found.special)})

    def find(self, backbone: str) -> KnownTokenizer | None:
        """The tokenizer that was noted; None where there is no note, or one that no run has written."""
        try:
            note = read_json(self._path(backbone))
            return KnownTokenizer(_hash(note["tokenizer"]), tuple(map(_id, note["special"])))
        except (OSError, UnreadableFile, LookupError, TypeError, ValueError):
            return None

    def _path(self, backbone: str) -> Path:
        # Both libraries have a part in what a tokenizer's file means.
        libraries = {name: version(name) for name in ("tokenizers", "transformers")}
        return self.directory / f"{fingerprint({'backbone': backbone, **libraries})}.json"


def _hash(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("no hash")
    return value


def _id(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no token")
    return value
