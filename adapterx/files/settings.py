"""Settings that a stranger wrote: each of the type and size it should have, or refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adapterx.files.errors import FormatError
from adapterx.wording import plain, shown

LARGEST = 1e18
"""Of weights and factors. Squares of numbers beyond 1.8e19 overflow float32, and what follows is not finite."""
LARGEST_COUNT = 1_000_000
"""Of ranks, labels and the like: far more than any encoder has features, and few enough to be counted out."""
_SHOWN = 6


def number(
    path: Path,
    config: Mapping[str, Any],
    key: str,
    default: float | None = None,
    *,
    least: float = -LARGEST,
    most: float = LARGEST,
) -> float:
    """A number from `least` to `most`; FormatError for anything else."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        bounds = "" if most == LARGEST and abs(least) == LARGEST else f" from {least:g} to {most:g}"
        bounds = bounds or f" of at most {LARGEST:g} in size"
        raise FormatError(f"{path}: {key} is {shown(value)}, not a number{bounds}")
    return float(value)


def whole(path: Path, config: Mapping[str, Any], key: str, *, most: int = LARGEST_COUNT) -> int:
    """A whole number from 1 to `most`; FormatError for anything else."""
    value = config.get(key)
    if type(value) is not int or not 1 <= value <= most:
        raise FormatError(f"{path}: {key} is {shown(value)}, not a positive whole number up to {most}")
    return value


def flag(path: Path, config: Mapping[str, Any], key: str, default: bool) -> bool:
    """True or false; FormatError for anything else. `null` counts as the default."""
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise FormatError(f"{path}: {key} is {shown(value)}; it should be true or false")
    return value


def shortest(value: float) -> float | int:
    """A number as both libraries write it: a whole one without a point."""
    return int(value) if float(value).is_integer() else value


def texts(value: object) -> list[str] | None:
    """The value, if it is a list of texts."""
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None


def listed(names: Iterable[str]) -> str:
    """Names joined by commas for a message, the first few of them."""
    known = [plain(name) for name in names]
    more = len(known) - _SHOWN
    return ", ".join(known[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
