"""Adapter directories by name: one here, or one on the Hub at a commit."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from adapterx import hub
from adapterx.files.adapter_files import METADATA, NAMES, SETUP, WEIGHTS, check_names, held
from adapterx.files.errors import FormatError
from adapterx.formats import metadata, setup
from adapterx.hub import Repository
from adapterx.places import expanded


def locate(name: str, revision: str | None = None) -> Path:
    """A local directory with an adapter's files: the directory of that name, or a download from the Hub.

    Only the files an adapter is made of are fetched: no pickles, no code, nothing of other directories beside it, such
    as a trainer's checkpoints.

    Args:
        revision: a commit of the Hub repository; a branch or a tag, or None for the main branch, means its commit of
            this moment.

    Raises FormatError, and HubError for what the Hub does not give.
    """
    path = expanded(name)
    if path.is_dir():
        if revision is not None:
            raise FormatError(f"{name} is a directory here, so the revision {revision!r} means nothing: leave it out")
        return path
    if path.exists():
        raise FormatError(f"{name} is a file; give the directory of an adapter")
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise FormatError(f"there is no directory {name}")
    repository = Repository(name, pin="--revision COMMIT (ID@COMMIT for `fuse`)")
    found = hub.listing(repository, revision)
    here = [hub.download(repository, found.commit, one).parent for one in (METADATA, SETUP) if one in found.names]
    wanted = _wanted(here[0] if here else None, found.names, f"{name} on the Hub")
    for file in wanted:
        path = hub.download(repository, found.commit, file)
    return path.parents[wanted[-1].count("/")]


def _wanted(root: Path | None, names: Collection[str], where: str) -> list[str]:
    """Which files of a repository make its adapters, the weights of each after its other files.

    Args:
        root: holds its adapterx.json or adapter_setup.json, where it has one: they say which directories act.
        names: of all files.
    """
    known, composed = (None, None) if root is None else (metadata.read(root), setup.read(root))
    parts = [] if known is None else [*known.adapters, *known.languages.values()]
    parts += [] if composed is None else composed.adapters
    beside = []
    if composed is not None:
        beside += [composed.head] if composed.head is not None else []
        beside += [",".join(composed.adapters)] if composed.kind == "Fuse" else []
    found = []
    for part in dict.fromkeys([*beside, *(parts or ["."])]):
        stem = "" if part == "." else f"{part}/"
        inside = {name.removeprefix(stem) for name in names if name.startswith(stem)}
        if part not in beside or part in parts:
            check_names(inside, f"{part} of {where}" if stem else where)
        weights = (held(inside, one) for one in WEIGHTS)
        found += [f"{stem}{own}" for own in (*NAMES, *weights) if own is not None and own in inside]
    return found
