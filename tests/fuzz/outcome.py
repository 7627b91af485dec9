"""What a command made of a broken input, and what it must have made of it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapterx.cli import main

LONGEST_LINE = 1000
"""Characters of one line of a message; values that are echoed are cut to 80, paths and lists of names are longer."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything, its spaces joined: tables and messages are broken into lines at any width."""
        return " ".join((self.out + "\n" + self.err).split())

    @property
    def told(self) -> str:
        """The same, for the message of a test that fails."""
        return ascii(self.said[:300])

    def clean(self) -> None:
        """Nothing unforeseen: no traceback, no defect, nothing that a terminal would obey, nothing endless."""
        assert self.code in (0, 1, 2), self.told
        assert "Traceback" not in self.said and "defect of the program" not in self.said, self.told
        shown = self.err if self.out.startswith("{") else self.out + self.err  # answers are data, as they were sent
        assert not _CONTROL.search(shown), f"control characters: {self.told}"
        assert max(map(len, self.err.splitlines()), default=0) <= LONGEST_LINE, f"a long line: {self.told}"

    def refuses(self, *places: str) -> None:
        """It ends with exit code 2, and a message that names one of the places."""
        self.clean()
        assert self.code == 2, f"ends with {self.code}: {self.told}"
        assert any(place in self.said for place in places), f"{places} not in: {self.told}"

    def answers_or_refuses(self, *places: str) -> None:
        """Of input that may be taken as it is: nothing is wrong with it, or it is refused by name."""
        self.clean()
        assert self.code in (0, 1) or any(place in self.said for place in places), f"{places} not in: {self.told}"


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Outcome:
    """Run a command in this process."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except BaseException as error:  # a panic of a Rust library is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return Outcome(70, "", f"Traceback of a panic: {error}")
    return Outcome(code, *capsys.readouterr())


def sampled(cases: Sequence[Any], names: Sequence[str], everyday: int) -> list[Any]:
    """Parameters of a test: so many of the cases every day, always the same ones, the rest with `make test-fuzz`.

    Which ones follows from their names, so that a new case moves no other one.
    """
    assert len(set(names)) == len(names), "cases are known by their names"
    chosen = set(sorted(names, key=lambda name: zlib.crc32(name.encode()))[:everyday])
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), id=name, marks=() if name in chosen else pytest.mark.slow
        )
        for case, name in zip(cases, names, strict=True)
    ]
