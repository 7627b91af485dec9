"""What is wrong with a file of examples."""

from __future__ import annotations

from adapterx.errors import AdapterxError


class DataError(AdapterxError, ValueError):
    """A file that does not hold what the task's YAML says, with the file and the row."""


class MissingData(AdapterxError, FileNotFoundError):
    """A file of a task that is not there."""
