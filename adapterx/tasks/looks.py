"""What a plan is told of the data it names, before anything is trained: rows that are wrong, and items left out."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.plan.looks import Seen
from adapterx.tasks import data
from adapterx.tasks.contents import Contents
from adapterx.tasks.spec import Embedded, Hub, Local, Sentences, TaskSpec


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
        if not origin or not _is_read(spec, source, language, split):
            return Seen(origin)
        found = self._contents.counted((task, source, language, split))
        return Seen(origin, found.left_out, "" if found.only_label is None else spec.labels[found.only_label])

    def ahead(self, task: str, source: str, languages: Sequence[str], splits: Sequence[str]) -> None:
        """Read what is asked next in several processes, where that is worth their start."""
        spec = self._contents.spec(task)
        asked = [(task, source, code, split) for split in splits for code in languages]
        self._contents.ahead([part for part in asked if _is_read(spec, *part[1:])])


def _is_read(spec: TaskSpec, source: str, language: str, split: str) -> bool:
    """Whether a plan reads the rows of a split."""
    chosen = spec.sources[source]
    if isinstance(chosen, Sentences):
        asked = data.find(chosen.task)
        return _is_read(asked, chosen.source, language, split)
    if isinstance(chosen, Hub):
        drops = "drop" in (chosen.missing, chosen.misplaced)
        return drops and data.at_hand(spec, source, language, split)
    # Lines of plain text cannot be wrong, and there may be very many.
    return not isinstance(chosen, Embedded) and not (isinstance(chosen, Local) and chosen.reader == "text")
