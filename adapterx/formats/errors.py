"""What goes wrong with adapter directories, in words for the user."""

from __future__ import annotations


class FormatError(ValueError):
    """An adapter that cannot be written or read as asked; the message names the file, and says what to do."""
