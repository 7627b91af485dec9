"""Errors of single stages, kept apart from the bundle that they are done in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from adapterx.faults import UnusablePlace, is_out_of_memory
from adapterx.plan import Stage

Fail: TypeAlias = Callable[[Stage, Exception], None]


@contextmanager
def apart(stage: Stage, fail: Fail) -> Iterator[None]:
    """Let a stage fail by itself; a lack of memory, or a place that cannot be used, concerns all that share it."""
    try:
        yield
    except UnusablePlace:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        fail(stage, error)
