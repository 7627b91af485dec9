"""Directories of which a single adapter is wanted."""

from __future__ import annotations

from pathlib import Path

from adapterx.files.adapter_files import SETUP
from adapterx.files.errors import FormatError
from adapterx.formats import setup
from adapterx.formats.metadata import Metadata


def inside(name: str, directory: Path, known: Metadata | None) -> str:
    """The directory of the only adapter; several act together, and have no place in a merger or under a fusion."""
    composed = setup.read(directory)
    inside = known.adapters if known is not None else (".",) if composed is None else composed.adapters
    if len(inside) > 1:
        what = "a fusion" if composed is not None and composed.kind == "Fuse" else "a stack"
        raise FormatError(f"{name} is {what} of {len(inside)} adapters ({SETUP}); name single ones")
    return inside[0]
