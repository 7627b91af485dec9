"""What goes wrong with adapter directories, in words for the user."""

from __future__ import annotations

from adapterx.errors import AdapterxError


class FormatError(AdapterxError, ValueError):
    """An adapter that cannot be written or read as asked; the message names the file, and says what to do."""


class LibraryAloneError(FormatError):
    """A setting that the engine does not compute, and the adapter's own library does."""
