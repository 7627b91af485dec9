"""An engine for `adapterx translate` that asks Apertium: JSON lines in, JSON lines out.

    adapterx translate lingnli --to es --engine "command:python tools/apertium.py en-es=eng-spa es-en=spa-eng"

Apertium translates by rules (https://apertium.org; Debian's `apertium` and `apertium-eng-spa` and their like). Each
argument names the mode of a direction; `apertium -l` lists modes. Unknown words stay as they are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from shutil import which
from typing import Any, TextIO

_END = "\0"
"""What Apertium passes on, and answers at once: it is told to write out all that came before."""


class Apertium:
    """Running translators, one for each direction that was asked for."""

    def __init__(self, modes: Iterable[str]) -> None:
        self._modes = dict(one.split("=", 1) for one in modes)
        self._running: dict[str, subprocess.Popen[str]] = {}

    def answer(self, asked: Any) -> dict[str, str]:
        """A text's translation, or why there is none."""
        direction = f"{asked['source']}-{asked['target']}"
        if direction not in self._modes:
            return {"id": asked["id"], "error": f"no mode for {direction}"}
        return {"id": asked["id"], "text": self._translated(direction, " ".join(asked["text"].split()))}

    def _translated(self, direction: str, text: str) -> str:
        if direction not in self._running:
            # -u: no marks at unknown words; -z: a null ends a text, and what was read is answered.
            command = ["apertium", "-u", "-z", self._modes[direction]]
            self._running[direction] = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        process = self._running[direction]
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(text.replace(_END, " ") + _END)
        process.stdin.flush()
        return "".join(_until_end(process.stdout)).strip()


def _until_end(stream: TextIO) -> Iterator[str]:
    while (character := stream.read(1)) != _END:
        if not character:
            raise SystemExit("apertium ended before it had answered")
        yield character


def main() -> int:
    """Answer lines until there are no more."""
    if which("apertium") is None:
        print("apertium is not installed", file=sys.stderr)
        return 1
    engine = Apertium(sys.argv[1:])
    for line in sys.stdin:
        print(json.dumps(engine.answer(json.loads(line)), ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
