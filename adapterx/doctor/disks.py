"""Where things are kept: whether anything can be written there, how much room is left, how much lies there."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from adapterx import faults, places
from adapterx.doctor.discreet import discreet
from adapterx.errors import AdapterxError
from adapterx.store import lock

_WRITTEN = 64 << 10
"""Bytes written to find out whether there is room."""
_PATIENCE = 5.0
"""Seconds for which the files of a cache are counted."""


@dataclass(frozen=True)
class WritablePlace:
    """A directory that runs write to."""

    path: str
    """As it is shown."""
    free: int | None
    """Bytes left on its disk, None where the system does not say."""
    error: str = ""
    """Why nothing can be written there, with what to do; empty where something can."""


@dataclass(frozen=True)
class CacheSize:
    """What lies in a cache."""

    path: str
    size: int
    """Bytes of its files."""
    complete: bool
    """Whether all were counted."""


def store(given: Path | None) -> WritablePlace:
    """The store that a run would use; `given` comes before the environment's."""
    try:
        return _looked_at(given or places.store(), given)
    except AdapterxError as error:
        return WritablePlace("?", None, discreet(str(error)))


def cache(given: Path | None) -> WritablePlace:
    """adapterx's cache."""
    try:
        return _looked_at(places.cache(), given)
    except AdapterxError as error:
        return WritablePlace("?", None, f"{discreet(str(error))}; or set {places.CACHE}")


def cache_size() -> CacheSize | None:
    """What adapterx's cache holds; None where nobody can say where it is."""
    try:
        return _counted(places.cache())
    except AdapterxError:
        return None


def hub_size() -> CacheSize | None:
    """What the Hub's cache holds."""
    try:
        return _counted(hub_cache())
    except AdapterxError:
        return None


def hub_home() -> Path:
    """The directory of the Hub's client, found without importing it. Raises AdapterxError where there is no home."""
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return places.expanded(os.path.expandvars(os.environ.get("HF_HOME") or f"{above}/huggingface"))


def hub_cache() -> Path:
    """Where the Hub's client keeps what it fetches."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return places.expanded(os.path.expandvars(given)) if given else hub_home() / "hub"


def token() -> str | None:
    """Where a token of the Hub comes from: the name of a variable, or `file`; None where there is none.

    Its content is not looked at beyond whether there is any.
    """
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name, "").strip():
            return name
    try:
        given = os.environ.get("HF_TOKEN_PATH")
        path = places.expanded(os.path.expandvars(given)) if given else hub_home() / "token"
        return "file" if path.stat().st_size > 0 and path.is_file() else None
    except (OSError, ValueError, AdapterxError):
        return None


def _looked_at(path: Path, given: Path | None) -> WritablePlace:
    shown = discreet(path)
    above = path
    while not _exists(above) and above != above.parent:
        above = above.parent
    try:
        free: int | None = shutil.disk_usage(above).free
    except (OSError, ValueError):
        free = None
    try:
        with tempfile.TemporaryFile(dir=above) as file:
            file.write(b"\0" * _WRITTEN)
            file.flush()
        lock.check_locks(above / "lock")
    except OSError as error:
        error.filename = str(path)
        return WritablePlace(shown, free, discreet(faults.worded(error, given)))
    except ValueError as error:
        return WritablePlace(shown, free, discreet(f"{shown}: {error}; choose another place"))
    return WritablePlace(shown, free)


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # it is there, and cannot be looked at
    return True


def _counted(root: Path) -> CacheSize:
    """The regular files below a directory; links, by which the Hub's client names its files, are not followed."""
    started, total, complete = time.monotonic(), 0, True
    waiting = [root]
    while waiting:
        if time.monotonic() - started > _PATIENCE:
            complete = False
            break
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                        continue
                    found = entry.stat(follow_symlinks=False)
                    total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            complete = False
    return CacheSize(discreet(root), total, complete)
