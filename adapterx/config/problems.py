"""What can be wrong with a recipe, said with its place and a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adapterx.errors import AdapterxError
from adapterx.wording import LONGEST, plain

Location = tuple[str | int, ...]
"""Keys and list indices from the top of a recipe down to a value."""


@dataclass(frozen=True)
class Position:
    """Where something was written: a file (or the text of an override), line and column counted from 1."""

    file: str
    line: int
    column: int
    override: bool = False
    """Whether `file` is the text of an override."""

    def __str__(self) -> str:
        return f"{plain(self.file, LONGEST if self.override else None)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong, with its place. `position` is None where the file could not be read at all."""

    file: str
    path: str
    message: str
    hint: str = ""
    position: Position | None = None

    def __str__(self) -> str:
        place = str(self.position) if self.position else plain(self.file, None)
        path = f"{plain(self.path)}: " if self.path else ""
        return f"{place}: {path}{self.message}" + (f" ({self.hint})" if self.hint else "")


MOST_TOLD = 50
"""Problems of one file that are told at once."""


class RecipeError(AdapterxError, ValueError):
    """A recipe that cannot be used; `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        told = [str(problem) for problem in problems[:MOST_TOLD]]
        if len(problems) > MOST_TOLD:
            told.append("… and more: mend these first")
        super().__init__("\n".join(told))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Finding:
    """One thing wrong with the value at `location`, before its place in the file is known."""

    location: Location
    message: str
    hint: str = ""
    at_key: bool = False
    """Point at the key rather than at its value."""


class SettingError(AdapterxError, ValueError):
    """Settings that a later package refuses as mistyped (an unknown task, say); `reader.locate` finds their places."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(f"{dotted(f.location)}: {f.message}" for f in findings))
        self.findings = tuple(findings)


def dotted(location: Iterable[str | int]) -> str:
    """A location as users write it in overrides: `train.early_stopping.every`, `skip.0.methods`."""
    return ".".join(str(part) for part in location)


def did_you_mean(word: object, names: Iterable[str]) -> str:
    """The hint for a mistyped word: the nearest name, else the few names there are, else nothing."""
    known = list(names)
    by_lower = {name.lower(): name for name in known}
    text = str(word).lower()
    near = difflib.get_close_matches(text, by_lower, n=1, cutoff=0.6) if len(text) <= LONGEST else []
    if near:
        return f"did you mean '{by_lower[near[0]]}'?"
    return f"known: {', '.join(known)}" if 0 < len(known) <= 12 else ""
