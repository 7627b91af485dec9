"""What a plan is told of the data it names, before anything is trained: rows that are wrong, and items left out."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path

from adapterx.plan.looks import Seen
from adapterx.store import JSON
from adapterx.store.atomic import write_json
from adapterx.tasks import data
from adapterx.tasks.data import Counted
from adapterx.tasks.spec import Embedded, Hub, Local, Sentences, TaskSpec


class Looks:
    """Reads every row of files here, each content once in a store (`adapterx.plan.looks.Look`).

    Rows of the Hub are read only where their source leaves some out, and only if they are downloaded: a plan fetches
    nothing.

    Args:
        beside: where tasks of the user's own are found.
        store: the directory under which counts are kept, if it exists.
    """

    def __init__(self, beside: Path | None, store: Path | None = None) -> None:
        self._spec = cache(lambda name: data.find(name, beside))
        self._kept = store / "cache" / "looks" if store is not None and store.is_dir() else None

    def __call__(self, task: str, source: str, language: str, split: str) -> Seen:
        """Raises DataError naming file and row, or MissingData."""
        spec: TaskSpec = self._spec(task)
        origin = data.origin(spec, source, language, split)
        if not origin or not _is_read(spec, source, language, split):
            return Seen(origin)
        found = self._counted(spec, source, language, split)
        return Seen(origin, found.left_out, "" if found.only_label is None else spec.labels[found.only_label])

    def _counted(self, spec: TaskSpec, source: str, language: str, split: str) -> Counted:
        if self._kept is None:
            return data.counted(spec, source, language, split)
        path = self._kept / f"{data.content_key(spec, source, language, split)}.json"
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            known = json.loads(path.read_text(encoding="utf-8"))
            left_out = {str(why): int(count) for why, count in known["left_out"].items()}
            only = None if known["only_label"] is None else range(len(spec.labels))[known["only_label"]]
            return Counted(int(known["examples"]), left_out, only)
        found = data.counted(spec, source, language, split)
        with suppress(OSError):  # what cannot be kept is counted again next time
            counts: JSON = {
                "examples": found.examples,
                "left_out": dict(found.left_out),
                "only_label": found.only_label,
            }
            write_json(path, counts)
        return found


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
