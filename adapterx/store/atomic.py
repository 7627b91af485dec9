"""Writing a file so that it is there whole or not at all. The package writes files nowhere else."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from adapterx import faults
from adapterx.store.identity import JSON

TEMPORARY = ".tmp"
ABANDONED = 24 * 3600.0
"""Seconds after which a temporary file that nobody has touched belongs to nobody, whoever wrote it."""
_OWNED = re.compile(rf"\..*\.(?P<machine>[0-9a-f]{{8}})-(?P<pid>\d+)-[0-9a-f]{{8}}{re.escape(TEMPORARY)}")


def write_stream(path: Path, writer: Callable[[Path], None]) -> None:
    """Let `writer` fill a temporary file beside `path`, make it durable, and rename it into place.

    Whatever `writer` raises passes through, the temporary file is removed and `path` keeps its former content. What the
    system refuses (a full disk, say) is an OSError that names `path`, whichever library met it. The file gets the mode
    of any new file here, which `umask` decides: some libraries let nobody but its owner read what they write.
    """
    temporary = path.with_name(f".{path.name}.{machine()}-{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _created(temporary)
        writer(temporary)
        _let_read(temporary, mode)
        synchronise(temporary)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if (number := _refused(error, temporary)) is not None:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    synchronise(path.parent)


def _created(path: Path) -> int:
    """Make an empty file; its mode."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _let_read(path: Path, mode: int) -> None:
    """Give a file back its mode, where the file system has any, after a library put a file of its own in its place."""
    if stat.S_IMODE(path.stat().st_mode) != mode:
        with suppress(OSError):
            path.chmod(mode)


def _refused(error: BaseException, temporary: Path) -> int | None:
    """The number of a system error, unless it names a file other than the one that is written."""
    named = getattr(error, "filename", None)
    return faults.code(error) if named in (None, str(temporary), temporary) else None


@cache
def machine() -> str:
    """Eight digits that name what process numbers are unique in: the machine, or the container on it."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_stream(path, write)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, line ends as they are."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: JSON) -> None:
    """Write readable JSON atomically, keys in the order given; ValueError for NaN and infinities."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """An empty directory to fill, which becomes `path` when the block ends well, and is gone when it does not.

    `path` is new, or an empty directory. OSError where it has been filled meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:100]}-new-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        yield new
        # The place of an empty directory is taken in one step.
        new.replace(path)


def synchronise(path: Path) -> None:
    """Wait until a file's content, or a directory's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove what killed writers left in a directory. Only for a directory that nobody else is writing to."""
    _remove(directory.glob(f".*{TEMPORARY}"))


def sweep_abandoned(directory: Path) -> None:
    """Remove what killed writers left in a directory and below it, whoever else is writing there.

    A temporary file is abandoned when the process of this machine that its name tells has ended, or after a day.
    """
    with suppress(OSError):
        _remove(path for path in directory.rglob(f".*{TEMPORARY}") if _is_abandoned(path))


def _remove(files: Iterable[Path]) -> None:
    for leftover in files:
        with suppress(OSError):
            leftover.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    owned = _OWNED.fullmatch(path.name)
    if owned and owned["machine"] == machine():
        return not runs(int(owned["pid"]))
    try:
        return time.time() - path.stat().st_mtime > ABANDONED
    except FileNotFoundError:
        return False


def runs(pid: int) -> bool:
    """Whether a process of this machine has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # somebody else's
    return True
