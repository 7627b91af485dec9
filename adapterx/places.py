"""Directories that a user names by an environment variable or an option. Depends on no other package but `errors`."""

from __future__ import annotations

import os
from pathlib import Path

from adapterx.errors import AdapterxError

STORE, CACHE, DATA = "ADAPTERX_STORE", "ADAPTERX_CACHE", "ADAPTERX_DATA"
_DEFAULT_STORE, _DEFAULT_DATA = "adapterx-store", "../shared/data"


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with `~` and `~user` put in full: files, quotes and options reach us without a shell's expansion."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise AdapterxError(f"{os.fspath(path)}: there is no such home directory; write the path in full") from None


def store() -> Path:
    """Finished stages and runs: $ADAPTERX_STORE, or `adapterx-store` in the working directory."""
    return expanded(os.environ.get(STORE) or _DEFAULT_STORE)


def cache() -> Path:
    """Converted backbones, indexes of the Hub, logs: $ADAPTERX_CACHE, or `adapterx` in the user's cache directory."""
    if given := os.environ.get(CACHE):
        return expanded(given)
    if given := os.environ.get("XDG_CACHE_HOME"):
        return expanded(given) / "adapterx"
    return expanded("~/.cache/adapterx")


def data() -> Path:
    """Files of tasks: $ADAPTERX_DATA, or `../shared/data` seen from the working directory."""
    return expanded(os.environ.get(DATA) or _DEFAULT_DATA)
