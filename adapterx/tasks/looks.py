"""What a plan is told of the data it names, before anything is trained: rows that are wrong, and items left out."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.tasks import data
from adapterx.tasks.contents import Contents
from adapterx.tasks.facts import Seen, Split


class Looks:
    """Reads every row of files here (`adapterx.plan.looks.Look`).

    Rows of the Hub are read only where their source leaves some out, and only if they are downloaded: a plan fetches
    nothing.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def __call__(self, task: str, source: str, language: str, split: str) -> Seen:
        """Raises DataError naming file and row, or MissingData."""
        spec = self._contents.spec(task)
        origin = data.origin(spec, source, language, split)
        if not origin or not data.read_ahead(spec, source, language, split):
            return Seen(origin)
        found = self._contents.counted((task, source, language, split))
        return Seen(origin, found.left_out, "" if found.only_label is None else spec.labels[found.only_label])

    def ahead(self, asked: Sequence[Split]) -> None:
        """Read what is asked next in several processes, where that is worth their start.

        Test items are compared with what is learnt in every language that is at hand (`adapterx.tasks.contamination`).
        """
        parts = dict.fromkeys(asked)
        for task, source, _, split in asked:
            if split == "test":
                parts |= {(task, source, code, split): None for code in self._contents.spec(task).languages}
        self._contents.ahead([part for part in parts if data.read_ahead(self._contents.spec(part[0]), *part[1:])])

    def size(self, asked: Split) -> int | None:
        """How many examples a split has that has been read; of a file here, others are not counted for it."""
        return self._contents.known_size(asked)
