"""The texts of items that a report shows, read from the task's own data where they are on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from adapterx.errors import AdapterxError
from adapterx.report.collect import CellResult, Results
from adapterx.report.seen_answers import CANDIDATE, PLACE, SeenItem
from adapterx.store import Record
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.spec import TaskSpec

LONGEST = 320
"""Characters of a text that are shown; a passage is longer."""

Texts = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By language and id."""


@dataclass(frozen=True)
class TargetTexts:
    """Those of one target."""

    texts: Texts = field(default_factory=dict)
    missing: str = ""
    """Why there are none; empty where there are."""


def read(results: Results, beside: Path | None) -> dict[str, TargetTexts]:
    """The texts of the items that cells show, by target. Nothing is downloaded, and nothing that is wrong with the data
    ends a report: it has no texts then, and says why.

    Args:
        beside: where tasks of the user's own are found; the catalog's only where None.
    """
    return {target: _of_target(results, target, beside) for target in results.targets}


def _of_target(results: Results, target: str, beside: Path | None) -> TargetTexts:
    cells = [one for one in results.cells if one.cell.target == target and one.seen is not None]
    record = next(_evaluations(results, cells), None)
    wanted: dict[str, set[str]] = {}
    for cell in cells:
        for language, items in cell.seen.items.items() if cell.seen else ():
            wanted.setdefault(language, set()).update(one.id for one in items)
            if cell.seen and cell.seen.sought:
                wanted[language].update(name for one in items for name in _candidates(one))
    if record is None or not wanted:
        return TargetTexts(missing="its answers are shown by no text")
    try:
        spec = find(str(record.settings.get("task")), beside)
        source = _source(spec, record)
        if source is None:
            return TargetTexts(missing="the data on this machine are not those that were evaluated")
        return TargetTexts(
            {language: _read(spec, source, language, ids) for language, ids in wanted.items() if ids}, ""
        )
    except (AdapterxError, OSError, ValueError, LookupError):
        # Not why: a report is shown to others, and the reason names places of this machine.
        return TargetTexts(missing="the data that were evaluated cannot be read on this machine")


def _candidates(one: SeenItem) -> Iterator[str]:
    """The names of what a query was to find, and of what it found."""
    for side in (one.gold, one.prediction):
        yield from (str(name) for name in (side if isinstance(side, tuple) else (side,)) if name)


def _evaluations(results: Results, cells: list[CellResult]) -> Iterator[Record]:
    planned = {one.cell: one for one in results.run.cells}
    for cell in cells:
        ref = planned[cell.cell].evaluation
        if ref is not None and ref in results.stages:
            yield results.stages[ref]


def _source(spec: TaskSpec, record: Record) -> str | None:
    """The source whose test data have the fingerprint of those that were evaluated, and that are at hand."""
    languages = [str(code) for code in cast(list[object], record.settings.get("languages", []))]
    for source in spec.sources:
        if not all(data.at_hand(spec, source, language, split) for language in languages for split in spec.scored):
            continue
        if data.fingerprint(spec, source, dict.fromkeys(spec.scored, languages)) == record.settings.get("data"):
            return source
    return None


def _read(spec: TaskSpec, source: str, language: str, ids: set[str]) -> dict[str, tuple[str, ...]]:
    """Texts by id; of candidates, which may have the ids of queries, by their names."""
    found: dict[str, tuple[str, ...]] = {}
    candidates = 0
    for example in data.stream(spec, source, language, "test"):
        names = [example.id]
        if not spec.kind.counts(example):
            names = [f"{CANDIDATE}{example.id}", f"{PLACE}{candidates}"]
            candidates += 1
        for name in names:
            if name in ids and name not in found:
                found[name] = tuple(_cut(text) for text in example.texts)
        if len(found) == len(ids):
            break
    return found


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"
