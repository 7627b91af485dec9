"""Hidden states of one pool in a file, from run to run: what is read back is what was written, or it is forgotten.

Rows of an example lie together. Beside the file lies a note: a hash of each example's rows, and one of the note.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from adapterx.faults import worded
from adapterx.store.atomic import write_bytes
from adapterx.store.lock import check_locks

logger = logging.getLogger(__name__)

ABSENT = 0
"""Stands for the hash of rows that are not there; an example whose hash it happens to be is computed each time."""
_SEAL = 16  # bytes of the note's own hash


class RowsFile:
    """Rows on disk, mapped into memory, held by one process at a time.

    Args:
        content: (bytes) the file.
        bounds: (examples + 1) where the rows of each example begin and end, in bytes.
    """

    def __init__(self, path: Path, content: NDArray[np.uint8], bounds: NDArray[np.int64], lock: FileLock) -> None:
        self.path = path
        self.content: Any = content
        self.bounds = bounds
        self.lock = lock
        self._bytes: Any = memoryview(np.asarray(content).data)
        self._hashes = self._read_note()
        self._checked = np.zeros(len(bounds) - 1, np.bool_)
        self._noted = self._hashes.copy()
        self._told = False

    @classmethod
    def open(cls, directory: Path, name: str, bounds: NDArray[np.int64], limit: int) -> RowsFile | None:
        """The file of this name; None where another process has it or there is no room."""
        # Whichever thread takes the lock, it is the process that holds it and lets go of it.
        path, lock = directory / f"{name}.rows", FileLock(directory / f"{name}.lock", thread_local=False)
        size = int(bounds[-1])
        try:
            directory.mkdir(parents=True, exist_ok=True)
            check_locks(Path(lock.lock_file))
            lock.acquire(timeout=0)
            if not path.is_file() or path.stat().st_size != size:
                path.with_suffix(".filled").unlink(missing_ok=True)
            _reserve(path, size, limit)
            return cls(path, np.memmap(path, np.uint8, mode="r+"), bounds, lock)
        except Timeout:
            return None
        except OSError as error:
            logger.warning("hidden states are not kept on disk: %s", worded(error))
            if lock.is_locked:
                path.unlink(missing_ok=True)
                lock.release()
            return None

    def filled(self) -> NDArray[np.bool_]:
        """Of which examples an earlier run left rows, (examples,); whether they are what it wrote, `check` says."""
        there: NDArray[np.bool_] = self._hashes != ABSENT
        return there

    def check(self, examples: NDArray[np.int64]) -> list[int]:
        """Those of the examples whose rows are not what was written. Each is looked at once; one warning for all."""
        new = np.unique(examples[~self._checked[examples]])
        damaged = [one for one in new.tolist() if self._hash(one) != self._hashes[one]]
        self._checked[new] = True
        if damaged and not self._told:
            logger.warning("%s is damaged; hidden states that have changed are computed again", self.path)
            self._told = True
        return damaged

    def sign(self, examples: Sequence[int] | NDArray[np.int64]) -> None:
        """Take the rows of these examples, just written, for what they are to be."""
        for one in map(int, examples):
            self._hashes[one] = self._hash(one)
            self._checked[one] = True

    def note(self) -> None:
        """Once the rows are durable, write down their hashes."""
        if np.array_equal(self._hashes, self._noted):
            return
        self._noted = self._hashes.copy()
        hashes = self._noted.tobytes()
        self.content.flush()
        write_bytes(self.path.with_suffix(".filled"), hashes + _sealed(hashes))

    def _hash(self, example: int) -> int:
        rows = self._bytes[self.bounds[example] : self.bounds[example + 1]]
        return int.from_bytes(hashlib.sha256(rows).digest()[:8], "little")

    def _read_note(self) -> NDArray[np.uint64]:
        """(examples,) hashes; none where the note is not one that was written for this file."""
        path, count = self.path.with_suffix(".filled"), len(self.bounds) - 1
        note = path.read_bytes() if path.is_file() and path.stat().st_size == 8 * count + _SEAL else b""
        if not note or _sealed(note[:-_SEAL]) != note[-_SEAL:]:
            return np.full(count, ABSENT, "<u8")
        return np.frombuffer(note[:-_SEAL], "<u8").copy()


def _sealed(hashes: bytes) -> bytes:
    return hashlib.sha256(hashes).digest()[:_SEAL]


def _reserve(path: Path, size: int, limit: int) -> None:
    """Make a file of this size whose blocks are its own: a disk that fills up later must not kill the process.

    One that is there keeps its content; a process killed in here may have left it without its blocks.
    """
    taken = sum(other.stat().st_size for other in path.parent.glob("*.rows") if other != path)
    if taken + size > limit:
        raise OSError(f"{path.parent} would grow to {(taken + size) / 1e9:.1f} GB, past its limit")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(descriptor, size)
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(descriptor, 0, max(1, size))
    finally:
        os.close(descriptor)
