"""The directory of finished stages.

    root/stages/<kind>/<slug>-<first 12 digits of the id>/   record.json, written last, beside the files it lists
    root/locks/  root/quarantine/  root/runs/<name>/

A stage exists when its record.json validates and the files it lists are there; nothing else is remembered.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from adapterx.errors import AdapterxError
from adapterx.store import lock
from adapterx.store.atomic import sweep, write_bytes, write_json, write_stream
from adapterx.store.identity import JSON
from adapterx.store.record import Failure, FileEntry, InvalidRecord, Record, Status, read_failure, read_record

logger = logging.getLogger(__name__)

RECORD, FAILURE = "record.json", "failure.json"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]*")
LONGEST_SLUG = 200
"""File systems allow names of 255 bytes; the id and a quarantine number follow the slug."""


class DamagedFile(AdapterxError):
    """A stored file is not what its record lists. The stage has been moved aside; the next run makes it anew."""


@dataclass(frozen=True)
class _Listing:
    """The stage directories of one kind, as they were when their parent last changed."""

    changed: int
    by_id: dict[str, list[Path]]
    by_slug: dict[str, list[Path]]


class Store:
    """Stages on disk under `root`, which the first write creates."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[str, _Listing] = {}

    def directory(self, kind: str, slug: str, id: str) -> Path:
        """Where a stage lives, whether or not it does yet; ValueError for names that are no plain file names."""
        for name in (kind, slug, id):
            if not PLAIN_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be a directory's name")
        return self.root / "stages" / kind / f"{slug[:LONGEST_SLUG]}-{id[:12]}"

    def run_directory(self, name: str) -> Path:
        """Where a run of that name keeps run.json and its report."""
        if not PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a directory's name")
        return self.root / "runs" / name

    def find(self, id: str, kind: str, slug: str) -> Record | None:
        """Return the stage's record if it is stored whole. A damaged stage is moved aside and counts as missing.

        The id decides: a stage stored under another slug, because a recipe has renamed something, is found too.
        """
        directory = self.directory(kind, slug, id)
        if not (directory / RECORD).exists():
            others = self._listing(kind).by_id.get(id[:12], [])
            directory = next((other for other in others if (other / RECORD).exists()), directory)
        try:
            record = read_record(directory / RECORD)
            if record is None:
                return None
            self._check(record, directory, id)
        except InvalidRecord as error:
            self._quarantine(directory, str(error))
            return None
        return record

    def failure(self, kind: str, slug: str, id: str) -> Failure | None:
        """Why the stage has no record, if a run tried and failed."""
        directory = self.directory(kind, slug, id)
        if (directory / RECORD).exists():
            return None
        try:
            return read_failure(directory / FAILURE)
        except InvalidRecord as error:
            logger.warning("ignoring %s: %s", directory / FAILURE, error)
            return None

    def siblings(self, kind: str, slug: str) -> list[Record]:
        """All stored stages of that slug, whatever their id, newest first: what a stale stage is compared with."""
        found: list[tuple[int, Record]] = []
        for directory in self._listing(kind).by_slug.get(slug[:LONGEST_SLUG], ()):
            path = directory / RECORD
            try:
                record, written = read_record(path), path.stat().st_mtime_ns
            except (InvalidRecord, FileNotFoundError):
                continue  # failed so far, moved aside this moment, or damaged, which `find` deals with when asked
            if record is not None and record.slug == slug:
                found.append((written, record))
        return [record for _, record in sorted(found, key=lambda pair: (pair[0], pair[1].id), reverse=True)]

    def commit(
        self,
        kind: str,
        slug: str,
        id: str,
        *,
        settings: Mapping[str, JSON],
        inputs: tuple[str, ...],
        files: Mapping[str, Callable[[Path], None] | bytes],
        result: Mapping[str, JSON],
        provenance: Mapping[str, JSON],
        status: Status = "done",
    ) -> Record:
        """Store a finished stage, its record last, and forget an earlier failure. Call it under the stage's lock.

        `files` are bytes, or functions that write to the path they are given. When anything raises (a full disk,
        say) the stage is as absent as before and the error passes through.
        """
        directory = self.directory(kind, slug, id)
        directory.mkdir(parents=True, exist_ok=True)
        sweep(directory)
        (directory / RECORD).unlink(missing_ok=True)
        try:
            entries = {name: _write(directory, name, content) for name, content in files.items()}
            record = Record(id, kind, slug, status, settings, inputs, result, entries, provenance)
            write_json(directory / RECORD, record.to_json())
        except BaseException:
            _discard(directory, files)
            raise
        for path in directory.iterdir():
            if path.name != RECORD and path.name not in files and path.is_file():
                path.unlink(missing_ok=True)
        return record

    def fail(self, kind: str, slug: str, id: str, failure: Failure) -> None:
        """Note why a stage failed. OSError when the disk is too full even for that: the stage is then just missing."""
        write_json(self.directory(kind, slug, id) / FAILURE, failure.to_json())

    def lock(self, kind: str, slug: str, id: str) -> AbstractContextManager[None]:
        """Hold the stage against other processes; while waiting, log who has it."""
        name = self.directory(kind, slug, id).name.rpartition("-")[2]
        return lock.hold(self.root / "locks" / kind / f"{name}.lock", f"{kind} {slug}")

    def read(self, record: Record, name: str) -> Path:
        """Path of a stage's file after checking its SHA-256.

        Raises KeyError for a file the record does not list and DamagedFile, naming it, for one that has changed.
        """
        entry = record.files[name]
        directory = self.directory(record.kind, record.slug, record.id)
        path = directory / name
        try:
            found = _entry(path)
        except FileNotFoundError:
            found = None
        if found != entry:
            what = "is missing" if found is None else "has changed since it was stored"
            aside = self._quarantine(directory, f"{name} {what}")
            raise DamagedFile(f"{path} {what}; its stage was moved to {aside} and the next run will make it anew")
        return path

    def _listing(self, kind: str) -> _Listing:
        """The directories of a kind, read again only when one has come or gone: plans ask thousands of times."""
        parent = self.root / "stages" / kind
        try:
            changed = parent.stat().st_mtime_ns
        except FileNotFoundError:
            return _Listing(0, {}, {})
        known = self._listings.get(kind)
        if known is None or known.changed != changed:
            known = _Listing(changed, {}, {})
            for directory in parent.iterdir():
                slug, _, id = directory.name.rpartition("-")
                known.by_id.setdefault(id, []).append(directory)
                known.by_slug.setdefault(slug, []).append(directory)
            self._listings[kind] = known
        return known

    def _check(self, record: Record, directory: Path, id: str) -> None:
        if record.id != id:
            raise InvalidRecord(f"it is the record of {record.id}")
        for name, entry in record.files.items():
            path = directory / name
            if not PLAIN_NAME.fullmatch(name) or not path.is_file():
                raise InvalidRecord(f"{name} is missing")
            if path.stat().st_size != entry.bytes:
                raise InvalidRecord(f"{name} has {path.stat().st_size} bytes instead of {entry.bytes}")

    def _quarantine(self, directory: Path, reason: str) -> Path:
        """Move a stage aside under a free number and log why; another process may have done so already."""
        parent = self.root / "quarantine" / directory.parent.name
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while (aside := parent / f"{directory.name}-{number}").exists():
            number += 1
        try:
            directory.rename(aside)
        except FileNotFoundError:
            return aside
        logger.warning("%s is damaged (%s); moved to %s", directory, reason, aside)
        return aside


def _write(directory: Path, name: str, content: Callable[[Path], None] | bytes) -> FileEntry:
    if not PLAIN_NAME.fullmatch(name) or name in (RECORD, FAILURE):
        raise ValueError(f"{name!r} cannot be the name of a stage's file")
    if isinstance(content, bytes):
        write_bytes(directory / name, content)
    else:
        write_stream(directory / name, content)
    return _entry(directory / name)


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(digest, os.fstat(file.fileno()).st_size)


def _discard(directory: Path, names: Mapping[str, object]) -> None:
    for name in names:
        if PLAIN_NAME.fullmatch(name) and name != FAILURE:
            (directory / name).unlink(missing_ok=True)
    (directory / RECORD).unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()
