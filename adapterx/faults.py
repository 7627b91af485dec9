"""Faults of a machine in words: a full or failing disk, a place that cannot be written, a limit of the system.

Depends on no other package but `errors`, `places` and `wording`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from adapterx import places
from adapterx.errors import AdapterxError
from adapterx.wording import plain

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What `flock` answers where a file system has no locks, as an NFS mount without its lock daemon."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room for this file: of the disk, of a quota, or by the limit on one file's size."""
UNUSABLE = NO_LOCKS | {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
"""What is wrong with a place rather than with one file in it."""

LONGEST_PATH = 300
"""Characters of a path that a message shows."""

_WORDS = {
    errno.ENOSPC: "there is no space left on this disk; make room",
    errno.EDQUOT: "the disk quota is used up; make room",
    errno.EFBIG: "the file would exceed the largest size allowed here (`ulimit -f`, or the file system's); raise it",
    errno.EIO: "the disk answers with an input/output error; look after the disk",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the path is too long",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`)",
    errno.ENFILE: "too many files are open on this machine; close other programs",
    errno.ENOMEM: "the machine's memory does not suffice",
    **dict.fromkeys(NO_LOCKS, "its file system has no locks, without which two processes may write one result"),
}
_ELSEWHERE = UNUSABLE | FULL | {errno.EIO, errno.ESTALE}
"""Where another place helps."""
_CODE = re.compile(r"\(os error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "could not create a memory object",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Cannot allocate memory",
)
"""torch's CPU allocator raises a plain RuntimeError; so do oneDNN, the CUDA runtime, cuBLAS and a failed mapping."""


class UnusablePlace(AdapterxError):
    """A store or cache that nothing can be written to: whatever a run goes on to do would fail as this did."""


def code(error: BaseException) -> int | None:
    """The system's number of what went wrong (`errno`), None for an error that is not the system's.

    Libraries in other languages write it into their text: safetensors "(os error 28)", Arrow "[errno 5]".
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = None if isinstance(error, AdapterxError) else _CODE.search(str(error))
    number = int(found[1] or found[2]) if found else None
    return number if number in errno.errorcode else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on the host or on a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, RuntimeError) and any(word in str(error) for word in _OUT_OF_MEMORY):
        return True
    return code(error) == errno.ENOMEM


def worded(error: BaseException, store: Path | None = None) -> str:
    """What the system refused, on one line: the file, what is wrong, and the option or variable that helps.

    Args:
        store: the store in use, where it is not the one that the environment names.
    """
    number, path = code(error), _path(error)
    if number is None:
        return plain(" ".join(str(error).split()) or type(error).__name__, LONGEST_PATH)
    words = _WORDS.get(number) or os.strerror(number)
    option = _option(path, store) if path and number in _ELSEWHERE else None
    advice = ""
    if option:
        advice = f"{', or' if ';' in words else ';'} choose another place with {option}"
    return f"{f'{plain(path, LONGEST_PATH)}: ' if path else ''}{words}{advice}"


def _path(error: BaseException) -> str | None:
    name = error.filename if isinstance(error, OSError) else None
    if isinstance(name, bytes):
        return os.fsdecode(name)
    return name if isinstance(name, str) else str(name) if isinstance(name, Path) else None


def _option(path: str, store: Path | None) -> str | None:
    """What says where a file lies: it is in a place of ours, or it is a parent that the place would lie in."""
    asked = Path(path).absolute()
    for option, place in _places(store):
        if asked.is_relative_to(place) or place.is_relative_to(asked):
            return option
    return None


def _places(store: Path | None) -> Iterator[tuple[str, Path]]:
    """Option or variable, and the place that it names; one that names a home which nobody has is left out."""
    with suppress(AdapterxError):
        yield f"--store or {places.STORE}", (store or places.store()).absolute()
    with suppress(AdapterxError):
        yield places.CACHE, places.cache().absolute()
    with suppress(AdapterxError):
        above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        yield "HF_HOME", places.expanded(os.environ.get("HF_HOME") or f"{above}/huggingface").absolute()
