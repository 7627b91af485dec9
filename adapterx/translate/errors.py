"""What goes wrong with translating, in words for the user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapterx.errors import AdapterxError


class TranslationError(AdapterxError, ValueError):
    """Something that was asked for cannot be translated, or cannot be gone on with.

    Args:
        where: the file or directory that it is about.
        hint: what to do, for programs; the message says it too.
    """

    def __init__(self, message: str, where: Path | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.where, self.hint = where, hint


class EngineError(TranslationError):
    """An engine that is not there, is set up wrongly, or has failed in the midst of a batch.

    Args:
        done: the texts of that batch it had translated, by their places in it; they are kept.
    """

    def __init__(
        self, message: str, where: Path | None = None, hint: str | None = None, done: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(message, where, hint)
        self.done: Mapping[int, str] = done or {}
