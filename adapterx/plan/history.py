"""Stored stages by slug, from one look at each directory.

`Store.siblings` searches a directory per question; a plan of a thousand cells asks thousands.
"""

from __future__ import annotations

from pathlib import Path

from adapterx.store import InvalidRecord, Record, Store
from adapterx.store.record import read_record
from adapterx.store.store import RECORD


class History:
    """What `Store.siblings` answers, for many slugs. The listings are those of the first question."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._listings: dict[Path, dict[str, list[Path]]] = {}
        self._records: dict[tuple[str, str], list[Record]] = {}

    def siblings(self, kind: str, slug: str) -> list[Record]:
        """All stored stages of that slug, newest first."""
        if (kind, slug) not in self._records:
            self._records[kind, slug] = self._read(kind, slug)
        return self._records[kind, slug]

    def _read(self, kind: str, slug: str) -> list[Record]:
        place = self.store.directory(kind, slug, "0" * 12)
        found: list[tuple[int, Record]] = []
        for directory in self._listing(place.parent).get(_stem(place), []):
            try:
                record, written = read_record(directory / RECORD), (directory / RECORD).stat().st_mtime_ns
            except (InvalidRecord, FileNotFoundError):
                continue  # damaged, or a stage that has only failed so far
            if record is not None and record.slug == slug:
                found.append((written, record))
        return [record for _, record in sorted(found, key=lambda pair: (pair[0], pair[1].id), reverse=True)]

    def _listing(self, parent: Path) -> dict[str, list[Path]]:
        if parent not in self._listings:
            listing: dict[str, list[Path]] = {}
            for directory in parent.iterdir() if parent.is_dir() else ():
                listing.setdefault(_stem(directory), []).append(directory)
            self._listings[parent] = listing
        return self._listings[parent]


def _stem(directory: Path) -> str:
    """The slug's part of a stage's directory name."""
    return directory.name.rpartition("-")[0]
