"""Adapter directories by name: one here, or one on the Hub at a commit."""

from __future__ import annotations

from pathlib import Path

from adapterx.backbones import hub
from adapterx.formats.errors import FormatError
from adapterx.formats.files import NAMES


def locate(name: str, revision: str | None = None) -> Path:
    """A local directory with an adapter's files: the directory of that name, or a download from the Hub.

    Only the files an adapter is made of are fetched: no pickles, no code.

    Args:
        revision: a commit of the Hub repository; a branch or a tag, or None for the main branch, means its commit of
            this moment.

    Raises FormatError, and BackboneError (a ValueError too) for what the Hub does not give.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if revision is not None:
            raise FormatError(f"{name} is a directory here, so the revision {revision!r} means nothing: leave it out")
        return path
    if path.exists():
        raise FormatError(f"{name} is a file; give the directory of an adapter")
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise FormatError(f"there is no directory {name}")
    _, directory = hub.adapter(name, revision, NAMES)
    return directory
