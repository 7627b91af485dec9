"""One writer per stage, across processes."""

from __future__ import annotations

import errno
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx import faults
from adapterx.reading import UnreadableFile, read_json
from adapterx.store.atomic import write_json
from adapterx.wording import plain

if TYPE_CHECKING:
    from filelock import FileLock

try:
    import fcntl
except ImportError:  # not a Unix: locks are of another kind there, which every file system has
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds of silent waiting before the first message."""
REMINDER = 60.0
"""Seconds between further messages."""

_lockable: set[Path] = set()
"""Directories whose file system has answered that it has locks."""


@contextmanager
def hold(path: Path, what: str, store: Path | None = None) -> Iterator[None]:
    """Hold the lock at `path`, waiting for as long as another process has it and logging who that is.

    The operating system frees the lock of a killed process, so a stale one cannot block anybody.

    Args:
        store: the store that the lock is in, if it is one's.

    Raises UnusablePlace where the place can be locked by nobody: read-only, forbidden, or without locks.
    """
    # Imported late, so that `adapterx doctor` can say so where it is missing.
    from filelock import FileLock

    lock, holder = FileLock(path), path.with_suffix(".holder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_locks(path)
        _acquire(lock, holder, what)
    except OSError as error:
        if error.errno not in faults.UNUSABLE:
            raise
        error.filename = error.filename or str(path)
        raise faults.UnusablePlace(faults.worded(error, store)) from error
    try:
        # The note serves those who wait; on a full disk the lock is worth having without it.
        with suppress(OSError):
            since = datetime.now(UTC).isoformat(timespec="seconds")
            write_json(holder, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def check_locks(path: Path) -> None:
    """OSError, naming the lock file `path`, where the file system that it is to lie in has no locks.

    Asked of a nameless file, once per directory: `filelock` has taken this answer for another process' lock, for which
    it waits for ever, and falls back to files that a killed process leaves behind.
    """
    if fcntl is None or path.parent in _lockable:
        return
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in faults.NO_LOCKS:
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
        return  # a full disk, say: the lock's own file may be there already
    _lockable.add(path.parent)


def _acquire(lock: FileLock, holder: Path, what: str) -> None:
    from filelock import Timeout

    patience = PATIENCE
    while True:
        try:
            lock.acquire(timeout=patience)
            return
        except Timeout:
            logger.warning("waiting for %s, which %s is working on", what, _name(holder))
            patience = REMINDER
        except NotImplementedError as error:  # what `filelock` has made of a missing `flock`
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(lock.lock_file)) from error


def _name(holder: Path) -> str:
    try:
        note = read_json(holder)
        return f"process {int(note['pid'])} on {plain(str(note['host']))} (since {plain(str(note['since']))})"
    except (OSError, UnreadableFile, ValueError, KeyError, TypeError):
        return "another process"
