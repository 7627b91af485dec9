"""The manifest of a converted backbone: the SHA-256 of each of its files, written when all of them are there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from adapterx.backbones.checkpoint import file_hash
from adapterx.reading import UnreadableFile, read_json

NAME = "manifest.json"


def damage(directory: Path, wanted: Collection[str] | None = None) -> str | None:
    """What is wrong with the conversion in a directory: nothing is None, "" that it has not come to its end.

    Args:
        wanted: the files that are going to be read, default all. Each is read, once per process and content.
    """
    manifest = directory / NAME
    try:
        listed = read_json(manifest)["sha256"]
        for name in listed if wanted is None else wanted:
            if file_hash(directory / name) != listed[name]:
                return f"{name} has changed"
    except FileNotFoundError as error:
        return "" if not manifest.exists() else f"{Path(str(error.filename)).name} is missing"
    except NotADirectoryError:
        return ""  # the place itself is none, which whoever writes there says
    except (UnreadableFile, KeyError, TypeError):
        return f"{NAME} is not one of this version"
    return None
