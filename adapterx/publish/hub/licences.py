"""The licence of an adapter: the strictest of what it was made from, or a conflict, named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

OTHER = "other"
_NAMES: tuple[tuple[str, str], ...] = (
    (r"^mit\b", "mit"),
    (r"^apache[ -]?(license )?(version )?2", "apache-2.0"),
    (r"^bsd[ -]3", "bsd-3-clause"),
    (r"^unicode", "unicode"),
    (r"^(cc0|public domain)", "cc0-1.0"),
    (r"^cc[ -]by[ -]nc[ -]sa[ -]4", "cc-by-nc-sa-4.0"),
    (r"^cc[ -]by[ -]nc[ -]sa[ -]3", "cc-by-nc-sa-3.0"),
    (r"^cc[ -]by[ -]nc[ -]4", "cc-by-nc-4.0"),
    (r"^cc[ -]by[ -]sa[ -]4", "cc-by-sa-4.0"),
    (r"^cc[ -]by[ -]sa[ -]3", "cc-by-sa-3.0"),
    (r"^cc[ -]by[ -]4", "cc-by-4.0"),
    (r"^cc[ -]by[ -]3", "cc-by-3.0"),
    (r"^odc[ -]by", "odc-by"),
    (r"^afl[ -]?3", "afl-3.0"),
)
"""How a task's YAML begins to word a licence, and the Hub's name of it."""


@dataclass(frozen=True)
class LicensedPart:
    """Something an adapter was made from, under a licence."""

    what: str
    licence: str
    """In the words of its source; empty where it names none."""

    @property
    def name(self) -> str:
        """The Hub's name of the licence; empty where there is none for those words."""
        words = self.licence.strip().lower()
        return next((name for pattern, name in _NAMES if re.search(pattern, words)), "")


@dataclass(frozen=True)
class Licence:
    """What an adapter may be used under."""

    name: str
    """The Hub's name; `other` where it is not one alone."""
    notes: tuple[str, ...]
    """What it follows from, and what conflicts."""


def combined(parts: Sequence[LicensedPart], given: str | None = None) -> Licence:
    """The licence that all parts leave.

    Of several the strictest holds: not for commercial use, then sharing alike, then naming the source. Where one
    forbids commercial use and another asks for its own terms, which allow it, no single licence serves both.

    Args:
        given: the user's own choice, by the Hub's name.
    """
    notes = tuple(f"{part.what}: {part.licence or 'names no licence'}" for part in parts)
    if given is not None:
        return Licence(given, notes)
    if unknown := [part for part in parts if not part.name]:
        told = ", ".join(part.what for part in unknown)
        return Licence(OTHER, (*notes, f"no single licence follows, as that of {told} is not a common one"))
    alike = [part for part in parts if "-sa-" in part.name]
    free = [part for part in alike if "-nc-" not in part.name]
    unsold = [part for part in parts if "-nc-" in part.name]
    if len({part.name for part in alike}) > 1 or (free and unsold):
        first = alike[0]
        other = next(part for part in [*unsold, *alike] if part.name != first.name)
        return Licence(
            OTHER,
            (*notes, f"in conflict: {first.what} is to be shared under {first.name}, {other.what} under {other.name}"),
        )
    if not parts:
        return Licence(OTHER, ("nothing is known of what it was made from",))
    strictest = max(parts, key=lambda part: _strictness(part.name))
    return Licence(strictest.name if strictest.name != "unicode" else OTHER, notes)


def _strictness(name: str) -> int:
    order = (
        "cc0",
        "unicode",
        "mit",
        "bsd",
        "apache",
        "afl",
        "odc-by",
        "cc-by-",
        "cc-by-sa",
        "cc-by-nc",
        "cc-by-nc-sa",
    )
    return max(place for place, start in enumerate(order) if name.startswith(start))
