"""Engines for tests, and a program that translates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adapterx.store import JSON
from adapterx.translate.engines.base import Markers, NoTranslation

PROGRAM = """
import json, select, sys, os

how = sys.argv[1] if len(sys.argv) > 1 else "plain"
noted = sys.argv[2] if len(sys.argv) > 2 else None
kept = []


def put(**answer):
    print(json.dumps(answer), flush=True)


for number, line in enumerate(sys.stdin, start=1):
    asked = json.loads(line)
    said = f"{asked['text']} [{asked['source']}>{asked['target']}]"
    if noted:
        with open(noted, "a") as stream:
            stream.write(line)
    if how == "plain":
        put(id=asked["id"], text=said)
    elif how == "reversed":
        kept.append((asked["id"], said))
        if len(kept) == 2:
            for id, text in reversed(kept):
                put(id=id, text=text)
            kept = []
    elif how == "dies" and number == 3:
        sys.exit(7)
    elif how == "killed" and number == 3:
        os.kill(os.getpid(), 9)
    elif how == "silent" and number == 3:
        select.select([sys.stdin], [], [], 60)  # until somebody writes, or nobody can any more
    elif how == "nonsense" and number == 3:
        print("Guten Tag", flush=True)
    elif how == "list" and number == 3:
        print("[1]", flush=True)
    elif how == "half" and number == 3:
        print('{"id": "3", "text": "\\\\ud83d"}', flush=True)
    elif how == "textless" and number == 3:
        put(id=asked["id"])
    elif how == "twice" and number == 3:
        put(id="2", text="again")
    elif how == "unknown" and number == 3:
        put(id="77", text="who?")
    elif how == "refuses" and number == 3:
        put(id=asked["id"], error="too rude")
    elif how == "large":
        put(id=asked["id"], text=asked["text"])
    else:
        put(id=asked["id"], text=said)
"""


def command(folder: Path, how: str = "plain", noted: Path | None = None) -> str:
    """What --engine names: a program that behaves in some way. It notes what it is asked."""
    path = folder / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return f"command:{sys.executable} {path} {how}" + (f" {noted}" if noted else "")


class Fake:
    """Translates by a function of text, source and target; remembers the batches."""

    name = "fake"

    def __init__(
        self, by: Callable[[str, str, str], str | NoTranslation], markers: Sequence[Markers] = (), version: int = 1
    ) -> None:
        self._by, self.markers, self.version = by, markers, version
        self.batches: list[list[str]] = []

    @property
    def asked(self) -> list[str]:
        """All texts that it was given."""
        return [text for batch in self.batches for text in batch]

    def check(self, source: str, target: str) -> None:
        """Every pair will do."""

    def identity(self, source: str, target: str) -> Mapping[str, JSON]:
        """A number."""
        return {"engine": self.name, "version": self.version}

    def versions(self) -> Mapping[str, str]:
        """None."""
        return {}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | NoTranslation]:
        """What the function says."""
        self.batches.append(list(texts))
        return [self._by(text, source, target) for text in texts]

    def close(self) -> None:
        """Nothing has been started."""
