"""What is wrong with a file of examples."""

from __future__ import annotations

from adapterx.errors import AdapterxError


class DataError(AdapterxError, ValueError):
    """A file that does not hold what the task's YAML says, with the file and the row."""


class MissingValue(DataError):
    """A row that lacks a text or a label; `missing: drop` of a source leaves such rows out."""


class EmptyFile(DataError):
    """A file without the first line that should name its columns."""


class MissingData(AdapterxError, FileNotFoundError):
    """A file of a task that is not there."""
