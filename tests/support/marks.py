"""Which of a test's parameters run every day."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

import pytest

Value = TypeVar("Value")


def everyday(values: Iterable[Value], some: Collection[Value]) -> list[object]:
    """All values as parameters, a tuple as several; those that are not among `some` are slow."""

    def slow(value: Value) -> object:
        return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)

    return [value if value in some else slow(value) for value in values]
