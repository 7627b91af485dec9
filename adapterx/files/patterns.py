"""Regular expressions of unknown origin, matched in polynomial time.

Python's own matcher tries one way after another, which takes exponential time over `(a+)+!`. Here each part of an
expression gives the set of all positions where it may end, worked out once per starting position. Whether a whole text
matches is the same either way: greedy and lazy repeats differ only in which of several ways they find first.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

Positions: TypeAlias = frozenset[int]
Parts: TypeAlias = Sequence[tuple[object, Any]]
"""A parsed expression, as the standard library gives it: the name of an operation, and what it is applied to."""

LONGEST = 10_000
"""Characters of an expression: room for the full names of all linear layers of a deep encoder."""
_MOST_STEPS = 2_000_000
"""Parts matched at positions, over the life of a pattern: seconds at most, and thousands of times the usual."""
_ROUNDS = 2
"""Of a repeat, for each position: in the first, those that do not stay move on to the end; in the second, what stays
fills up."""
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda letter: letter.isalnum() or letter == "_",
}


class PatternError(ValueError):
    """An expression that cannot be matched here; the message says why, as what follows its name."""


class Pattern:
    """A regular expression in Python's syntax, for texts of one line such as the names of modules.

    Raises PatternError for what is no expression, is too long, or asks for what sets of positions cannot tell: a
    reference to what a group has matched, atomic groups and possessive repeats.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise PatternError(f"has {len(text):,} characters, more than the {LONGEST:,} of an expression that is read")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compiled = re.compile(text)
                self._parts: Parts = re._parser.parse(text)  # type: ignore[attr-defined]
        except (re.error, OverflowError) as error:
            raise PatternError(f"is not a regular expression: {error}") from None
        except RecursionError:
            raise PatternError("is nested too deeply") from None
        self._ignores_case = bool(compiled.flags & re.IGNORECASE)
        self._steps = 0

    def fullmatch(self, text: str) -> bool:
        """Whether all of the text matches. PatternError where that takes too long to tell."""
        try:
            return len(text) in _Matching(text, self._count).ends(self._parts, frozenset({0}), self._ignores_case)
        except RecursionError:
            raise PatternError("is nested too deeply") from None

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise PatternError("takes too long to match: name the modules in a list instead")


class _Matching:
    """One text, and what is known of it so far.

    Args:
        count: told how many positions a part was matched at.
    """

    def __init__(self, text: str, count: Callable[[int], None]) -> None:
        self.text = text
        self.count = count
        self._known: dict[tuple[int, Positions, bool], Positions] = {}

    @cached_property
    def _letters(self) -> Positions:
        """Positions of letters, digits and underscores."""
        return frozenset(at for at, letter in enumerate(self.text) if _CATEGORIES["WORD"](letter))

    def ends(self, parts: Parts, starts: Positions, folded: bool) -> Positions:
        """Where a row of parts that begins at one of the `starts` may end.

        Args:
            folded: whether case makes no difference.
        """
        key = (id(parts), starts, folded)
        if key not in self._known:
            reached = starts
            for operation, value in parts:
                if not reached:
                    break
                reached = self._part(str(operation), value, reached, folded)
            self._known[key] = reached
        return self._known[key]

    def _part(self, operation: str, value: Any, starts: Positions, folded: bool) -> Positions:
        """Where one part may end."""
        self.count(len(starts))
        if operation in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            inside = (at for at in starts if at < len(self.text))
            return frozenset(at + 1 for at in inside if _fits(operation, value, self.text[at], folded))
        if operation in ("AT", "ASSERT", "ASSERT_NOT", "FAILURE"):
            return frozenset(at for at in starts if self._holds(operation, value, at, folded))
        if operation == "SUBPATTERN":
            _, on, off, inner = value
            return self.ends(inner, starts, (folded or bool(on & re.IGNORECASE)) and not off & re.IGNORECASE)
        if operation == "BRANCH":
            return frozenset().union(*(self.ends(inner, starts, folded) for inner in value[1]))
        if operation in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, inner = value
            return self._repeated(least, most, inner, starts, folded)
        what = "a reference to a group" if "GROUPREF" in operation else "an atomic group or a possessive repeat"
        raise PatternError(f"has {what}, which is not supported")

    def _repeated(self, least: int, most: int, inner: Parts, starts: Positions, folded: bool) -> Positions:
        """Positions only move on or stay, so that after a few rounds they are none, or the same for ever."""
        reached = starts
        for _ in range(min(least, _ROUNDS * (len(self.text) + 1))):
            reached = self.ends(inner, reached, folded)
        found = reached
        for _ in range(min(most - least, len(self.text) + 1)):
            # A position that was reached in fewer rounds leads nowhere new.
            reached = self.ends(inner, reached, folded) - found
            if not reached:
                break
            found |= reached
        return found

    def _holds(self, operation: str, value: Any, at: int, folded: bool) -> bool:
        """Whether a part without width, such as `^` or `(?=…)`, is true at a position."""
        if operation == "FAILURE":
            return False
        if operation == "AT":
            return self._is_at(str(value), at)
        direction, inner = value
        if direction > 0:
            found = bool(self.ends(inner, frozenset({at}), folded))
        else:
            found = any(at in self.ends(inner, frozenset({start}), folded) for start in range(at + 1))
        return found == (operation == "ASSERT")

    def _is_at(self, place: str, at: int) -> bool:
        if place.startswith("AT_BEGINNING"):
            return at == 0
        if place.startswith("AT_END"):
            return at == len(self.text)
        is_boundary = (at in self._letters) != (at - 1 in self._letters)
        return is_boundary == (place == "AT_BOUNDARY")


def _fits(operation: str, value: Any, letter: str, folded: bool) -> bool:
    """Whether a part that is one character wide is this character."""
    if operation == "ANY":
        return True
    forms = {letter, letter.lower(), letter.upper()} if folded else {letter}
    if operation == "IN":
        kinds = [(str(kind), inner) for kind, inner in value]
        negated = kinds[0][0] == "NEGATE"
        return negated != any(_is_one(*kind, form) for kind in kinds[negated:] for form in forms)
    return (ord(letter) == value or value in {ord(form) for form in forms}) == (operation == "LITERAL")


def _is_one(kind: str, value: Any, letter: str) -> bool:
    """Whether a member of a set such as `[a-z\\d_]` is this character."""
    if kind == "RANGE":
        return bool(value[0] <= ord(letter) <= value[1])
    if kind == "CATEGORY":
        name = str(value).removeprefix("CATEGORY_")
        return _CATEGORIES[name.removeprefix("NOT_")](letter) != name.startswith("NOT_")
    return bool(ord(letter) == value)
