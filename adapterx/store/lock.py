"""One writer per stage, across processes."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from adapterx.store.atomic import write_json

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds of silent waiting before the first message."""
REMINDER = 60.0
"""Seconds between further messages."""


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold the lock at `path`, waiting for as long as another process has it and logging who that is.

    The operating system frees the lock of a killed process, so a stale one cannot block anybody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(path), path.with_suffix(".holder")
    patience = PATIENCE
    while True:
        try:
            lock.acquire(timeout=patience)
            break
        except Timeout:
            logger.warning("waiting for %s, which %s is working on", what, _name(holder))
            patience = REMINDER
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


def _name(holder: Path) -> str:
    try:
        note = json.loads(holder.read_bytes())
        return f"process {note['pid']} on {note['host']} (since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
