"""What becomes of a row: an example, or nothing, for a reason that is counted."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from adapterx.tasks.examples import Example
from adapterx.tasks.sources.errors import DataError, MissingValue
from adapterx.tasks.sources.fields import Missing


class LeftOut(Enum):
    """Why a row makes no example although its split has it."""

    MISSING = "a missing value"
    MISPLACED = "an answer that stands elsewhere"


Entry: TypeAlias = Example | LeftOut


def or_left_out(missing: Missing, make: Callable[[], Entry]) -> Entry:
    """What `make` makes of a row, or why it is left out. Raises DataError where a missing value is refused."""
    try:
        return make()
    except MissingValue as error:
        if missing == "drop":
            return LeftOut.MISSING
        cure = "mend the row, or leave such rows out with `missing: drop` in the source"
        raise DataError(f"{error}; {cure}") from None
