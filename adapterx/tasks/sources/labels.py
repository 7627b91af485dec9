"""Files of labels, in place of a task's own list where they are many."""

from __future__ import annotations

from collections import Counter

from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.files import lines, root, stamp
from adapterx.wording import shown


def labels(name: str) -> tuple[str, ...]:
    """The labels of a file under the data directory, one a line; blank lines do not count.

    Raises MissingData, or DataError for a label that stands twice or alone.
    """
    path = root() / name
    stamp(path)
    found = tuple(line.strip() for line in lines(path) if line.strip())
    if twice := [label for label, count in Counter(found).items() if count > 1]:
        raise DataError(f"{path}: the label {shown(twice[0])} stands there more than once")
    if len(found) < 2:
        raise DataError(f"{path}: should have one label a line, two or more; it has {len(found)}")
    return found
