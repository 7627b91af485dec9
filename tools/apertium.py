"""An engine for `adapterx translate` that asks Apertium: JSON lines in, JSON lines out.

    adapterx translate lingnli --to es --batch 500 --engine "command:python tools/apertium.py en-es=eng-spa"

Apertium translates by rules (https://apertium.org; Debian's `apertium`, and `apertium-en-es` and its like). Each
argument names the mode of a direction; `apertium -l` lists modes. Words that it does not know stay as they are. What
comes together is translated together, as each call of Apertium takes a second.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from shutil import which
from typing import Any

_PAUSE = 0.05
"""Seconds without input after which nothing more comes together."""
_TOGETHER = 1 << 20
"""Bytes that are read at once."""


def answers(asked: Sequence[Any], modes: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Translations, or why there are none, of texts that came together."""
    directions: dict[str, list[Any]] = {}
    for one in asked:
        directions.setdefault(f"{one['source']}-{one['target']}", []).append(one)
    for direction, ones in directions.items():
        if direction not in modes:
            yield from ({"id": one["id"], "error": f"no mode for {direction}"} for one in ones)
            continue
        lines = translated([" ".join(one["text"].split()) for one in ones], modes[direction])
        yield from ({"id": one["id"], "text": line} for one, line in zip(ones, lines, strict=True))


def translated(lines: Sequence[str], mode: str) -> list[str]:
    """Lines in another language, a line for each."""
    done = subprocess.run(  # noqa: S603
        ["apertium", "-u", "-f", "line", mode],  # noqa: S607
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    found = done.stdout.splitlines()
    if done.returncode or len(found) != len(lines):
        raise SystemExit(f"apertium {mode} gave {len(found)} lines for {len(lines)}: {done.stderr.strip()}")
    # The end of a line counts as the end of a sentence, and its mark is lost.
    return [line.strip() + _lost_end(before, line.strip()) for before, line in zip(lines, found, strict=True)]


def _lost_end(before: str, after: str) -> str:
    """The mark that a text ended with, where its translation ends with none."""
    mark = before[-1:]
    return mark if mark in (".", "!", "?") and after and not after.endswith((".", "!", "?")) else ""


def together() -> Iterator[list[Any]]:
    """What stands on standard input, as it comes."""
    rest = b""
    while read := os.read(0, _TOGETHER):
        rest += read
        while select.select([0], [], [], _PAUSE)[0] and (more := os.read(0, _TOGETHER)):
            rest += more
        *lines, rest = rest.split(b"\n")
        yield [json.loads(line) for line in lines]


def main() -> int:
    """Answer lines until there are no more."""
    if which("apertium") is None:
        print("apertium is not installed", file=sys.stderr)
        return 1
    modes = dict(one.split("=", 1) for one in sys.argv[1:])
    for asked in together():
        for one in answers(asked, modes):
            print(json.dumps(one, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
