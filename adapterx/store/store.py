"""The directory of finished stages.

    root/stages/<kind>/<label>-<first 12 digits of the id>/   record.json, written last, beside the files it lists
    root/locks/  root/quarantine/  root/runs/<name>/

A stage exists when its record.json validates and the files it lists are there; nothing else is remembered.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from adapterx.errors import AdapterxError
from adapterx.faults import worded
from adapterx.store import lock
from adapterx.store.atomic import sweep, sweep_abandoned, write_bytes, write_json, write_stream
from adapterx.store.identity import JSON
from adapterx.store.record import Failure, FileEntry, InvalidRecord, Record, Status, read_failure, read_record
from adapterx.wording import plain, shown

logger = logging.getLogger(__name__)

RECORD, FAILURE = "record.json", "failure.json"
RUN = "run.json"
"""What a run asks for, in its directory."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]*")
LONGEST_NAME = 255
"""Bytes of a name that file systems allow."""
LONGEST_SLUG = 200
"""The id and a quarantine number follow the label."""


LOGS = ".jsonl"
"""How the names of files end that only tell of a stage: one that is damaged is left out, and spoils no result."""


class DamagedFile(AdapterxError):
    """A stored file is not what its record lists. The stage has been moved aside; whoever asks next makes it anew.

    Args:
        stage: id of the damaged stage.
    """

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message)
        self.stage = stage


@dataclass(frozen=True)
class _Listing:
    """The stage directories of one kind, as they were when their parent last changed."""

    changed: int
    by_id: dict[str, list[Path]]
    by_label: dict[str, list[Path]]


class Store:
    """Stages on disk under `root`, which the first write creates."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[str, _Listing] = {}

    def directory(self, kind: str, label: str, id: str) -> Path:
        """Where a stage lives, whether or not it does yet; ValueError for names that are no plain file names."""
        for name in (kind, label, id):
            if not PLAIN_NAME.fullmatch(name):
                raise ValueError(f"{shown(name)} cannot be a directory's name")
        return self.root / "stages" / kind / f"{label[:LONGEST_SLUG]}-{id[:12]}"

    def run_directory(self, name: str) -> Path:
        """Where a run of that name keeps run.json and its report."""
        if not PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{shown(name)} cannot be a directory's name")
        return self.root / "runs" / name

    def find(self, id: str, kind: str, label: str) -> Record | None:
        """Return the stage's record if it is stored whole. A damaged stage is moved aside and counts as missing.

        The id decides: a stage stored under another label, because a recipe has renamed something, is found too.
        """
        directory = self.directory(kind, label, id)
        if not (directory / RECORD).exists():
            others = self._listing(kind).by_id.get(id[:12], [])
            directory = next((other for other in others if (other / RECORD).exists()), directory)
        try:
            record = read_record(directory / RECORD)
            if record is None:
                return None
            self._check(record, directory, kind, id)
        except InvalidRecord as error:
            self._quarantine(directory, str(error))
            return None
        return record

    def failure(self, kind: str, label: str, id: str) -> Failure | None:
        """Why the stage has no record, if a run tried and failed."""
        directory = self.directory(kind, label, id)
        if (directory / RECORD).exists():
            return None
        try:
            return read_failure(directory / FAILURE)
        except InvalidRecord as error:
            self._quarantine(directory, f"{FAILURE}: {error}")
            return None

    def siblings(self, kind: str, label: str) -> list[Record]:
        """All stored stages of that label, whatever their id, newest first: what a stale stage is compared with."""
        found: list[tuple[int, Record]] = []
        for directory in self._listing(kind).by_label.get(label[:LONGEST_SLUG], ()):
            path = directory / RECORD
            try:
                record, written = read_record(path), path.stat().st_mtime_ns
            except (InvalidRecord, FileNotFoundError):
                continue  # failed so far, moved aside this moment, or damaged, which `find` deals with when asked
            if record is not None and record.label == label:
                found.append((written, record))
        return [record for _, record in sorted(found, key=lambda pair: (pair[0], pair[1].id), reverse=True)]

    def commit(
        self,
        kind: str,
        label: str,
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
        directory = self.directory(kind, label, id)
        if not _is_ours(directory):
            self._quarantine(directory, "it holds what no run writes")
        directory.mkdir(parents=True, exist_ok=True)
        sweep(directory)
        (directory / RECORD).unlink(missing_ok=True)
        try:
            entries = {name: _write(directory, name, content) for name, content in files.items()}
            record = Record(id, kind, label, status, settings, inputs, result, entries, provenance)
            write_json(directory / RECORD, record.to_json())
        except BaseException:
            _discard(directory, files)
            raise
        for path in directory.iterdir():
            if path.name != RECORD and path.name not in files and path.is_file():
                path.unlink(missing_ok=True)
        return record

    def fail(self, kind: str, label: str, id: str, failure: Failure) -> None:
        """Note why a stage failed. OSError when the disk is too full even for that: the stage is then just missing."""
        write_json(self.directory(kind, label, id) / FAILURE, failure.to_json())

    def lock(self, kind: str, label: str, id: str) -> AbstractContextManager[None]:
        """Hold the stage against other processes; while waiting, log who has it."""
        name = self.directory(kind, label, id).name.rpartition("-")[2]
        return lock.hold(self.root / "locks" / kind / f"{name}.lock", f"{kind} {label}", self.root)

    def sweep(self) -> None:
        """Remove temporary files of processes that were killed; those of stages go when their stage is written."""
        for name in ("checkpoints", "runs", "cache", "locks"):
            sweep_abandoned(self.root / name)

    def read(self, record: Record, name: str) -> Path:
        """Path of a stage's file after checking its SHA-256.

        Raises DamagedFile, naming it, for one that has changed, is gone, or that the record does not list.
        """
        directory = self.directory(record.kind, record.label, record.id)
        path = directory / name
        if (why := _wrong(path, record.files.get(name))) is None:
            return path
        aside = self._quarantine(directory, f"{name} {why}")
        raise DamagedFile(f"{path} {why}; its stage was moved to {aside} and is made anew by the next run", record.id)

    def read_log(self, record: Record, name: str) -> Path | None:
        """Path of a file that only tells of a stage; None where it is not what was stored, which moves nothing."""
        path = self.directory(record.kind, record.label, record.id) / name
        return path if _wrong(path, record.files.get(name)) is None else None

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
                label, _, id = directory.name.rpartition("-")
                known.by_id.setdefault(id, []).append(directory)
                known.by_label.setdefault(label, []).append(directory)
            self._listings[kind] = known
        return known

    def _check(self, record: Record, directory: Path, kind: str, id: str) -> None:
        """InvalidRecord unless the record is of the stage asked for, lies where it says, and its files are there."""
        if record.id != id or record.kind != kind:
            raise InvalidRecord(f"it is the record of {plain(record.kind)} {plain(record.id)}")
        if not PLAIN_NAME.fullmatch(record.label) or self.directory(kind, record.label, id) != directory:
            raise InvalidRecord(f"it is the record of {plain(record.label)}")
        for name, entry in record.files.items():
            path = directory / name
            if not PLAIN_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                raise InvalidRecord(f"{plain(name)} cannot be the name of a stage's file")
            if name.endswith(LOGS):
                continue
            if not path.is_file():
                raise InvalidRecord(f"{name} is missing")
            if path.stat().st_size != entry.bytes:
                raise InvalidRecord(f"{name} has {path.stat().st_size} bytes instead of {entry.bytes}")

    def _quarantine(self, directory: Path, reason: str) -> Path:
        """Move a stage aside under a free number and log why; another process may have done so already.

        One that cannot be moved, on a read-only disk say, stays and counts as missing.
        """
        parent = self.root / "quarantine" / directory.parent.name
        number = 1
        while (aside := parent / f"{directory.name}-{number}").exists():
            number += 1
        try:
            parent.mkdir(parents=True, exist_ok=True)
            directory.rename(aside)
        except FileNotFoundError:
            return aside
        except OSError as error:
            logger.warning("%s is damaged (%s), and cannot be moved: %s", directory, reason, worded(error, self.root))
            return directory
        logger.warning("%s is damaged (%s); moved to %s", directory, reason, aside)
        return aside


def _is_ours(directory: Path) -> bool:
    """Whether a stage's directory is one of nothing but plain files, or not there yet."""
    try:
        entries = list(directory.iterdir())
    except FileNotFoundError:
        return not directory.is_symlink()
    except NotADirectoryError:
        return False
    return all(path.is_file() and not path.is_symlink() for path in entries)


def _wrong(path: Path, entry: FileEntry | None) -> str | None:
    """In what way a file is not the one that was stored, None if it is."""
    if entry is None:
        return "is not listed by its record"
    try:
        found = _entry(path) if path.is_file() else None
    except FileNotFoundError:
        found = None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return "cannot be read (input/output error)"
    if found is None:
        return "is missing"
    return None if found == entry else "has changed since it was stored"


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
