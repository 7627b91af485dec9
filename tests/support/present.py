"""Values that a type allows to be missing and a test knows to be there."""

from __future__ import annotations

from typing import TypeVar

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """Return a value that is not None; where it is, the test fails here."""
    assert value is not None
    return value
