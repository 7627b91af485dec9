"""Writing a file so that it is there whole or not at all. The package writes files nowhere else."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from adapterx.store.identity import JSON

TEMPORARY = ".tmp"


def write_stream(path: Path, writer: Callable[[Path], None]) -> None:
    """Let `writer` fill a temporary file beside `path`, make it durable, and rename it into place.

    Whatever `writer` raises passes through, the temporary file is removed and `path` keeps its former content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        writer(temporary)
        synchronise(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk names no file of its own accord
        raise
    synchronise(path.parent)


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


def synchronise(path: Path) -> None:
    """Wait until a file's content, or a directory's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove what killed writers left in a directory. Only for a directory that nobody else is writing to."""
    for leftover in directory.glob(f".*{TEMPORARY}"):
        leftover.unlink(missing_ok=True)
