"""What is wrong with a file of examples."""

from __future__ import annotations


class DataError(ValueError):
    """A file that does not hold what the task's YAML says, with the file and the row."""


class MissingData(FileNotFoundError):
    """A file of a task that is not there."""
