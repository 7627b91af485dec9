"""Adapter directories by name: one here, or one on the Hub at a commit.

A name is `ID`, `ID@REVISION`, `ID/FOLDER` or `ID@REVISION/FOLDER`, where an id is `OWNER/REPOSITORY`; or a directory.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adapterx import hub
from adapterx.files.adapter_files import CONFIG, METADATA, NAMES, SETUP, WEIGHTS, check_names, held
from adapterx.files.errors import FormatError
from adapterx.files.settings import listed
from adapterx.formats import metadata, setup
from adapterx.hub import Repository
from adapterx.places import expanded
from adapterx.wording import plain, shown

_NAME = re.compile(
    r"(?P<id>[^/@]+(?:/[^/@]+)?)(?:/(?P<bare>[^@]+)|@(?P<revision>refs/[^/]+/[^/]+|[^/]+)(?:/(?P<folder>.+))?)?"
)


@dataclass(frozen=True)
class HubName:
    """An adapter in a repository on the Hub."""

    id: str
    revision: str | None
    """A branch, a tag or a commit; None for the main branch."""
    folder: str
    """Empty for the repository's root."""

    @property
    def label(self) -> str:
        """What it is called in short: the last of its folders, or the repository."""
        return PurePosixPath(self.folder or self.id).name


@dataclass(frozen=True)
class Located:
    """The files of an adapter on this machine."""

    directory: Path
    commit: str | None = None
    """Of one from the Hub."""
    remote: HubName | None = None
    files: tuple[str, ...] = ()
    """Of one from the Hub, those that it is made of, below the directory."""


def is_here(name: str) -> bool:
    """Whether a name is that of a file or directory on this machine."""
    return expanded(name).exists()


def parsed(name: str, revision: str | None = None) -> HubName:
    """The parts of a name on the Hub. FormatError for what is none, and for a revision that is given twice.

    Args:
        revision: as an option of its own.
    """
    found = None if name.startswith((".", "/", "~")) else _NAME.fullmatch(name.rstrip("/"))
    folder = "" if found is None else found["bare"] or found["folder"] or ""
    if found is None or any(part in ("", ".", "..") for part in (folder.split("/") if folder else ())):
        raise FormatError(f"there is no directory {plain(name, 200)}, nor is that a name such as ID@REVISION/FOLDER")
    if found["revision"] is not None and revision is not None:
        raise FormatError(f"{plain(name, 200)} names a revision, and --revision another: leave one of them out")
    return HubName(found["id"], found["revision"] or revision, folder)


def locate(name: str, revision: str | None = None) -> Path:
    """Where the files of an adapter are; arguments and errors as of `find`."""
    return find(name, revision).directory


def find(name: str, revision: str | None = None) -> Located:
    """An adapter's files: the directory of that name, or a download from the Hub.

    Only the files an adapter is made of are fetched: no code, nothing of other directories beside it, such as a
    trainer's checkpoints, and pickled weights only where there are no others.

    Args:
        revision: a commit of the Hub repository; a branch or a tag, or None for the main branch, means its commit of
            this moment. It may stand in the name instead.

    Raises FormatError, and HubError for what the Hub does not give.
    """
    path = expanded(name)
    if path.is_dir():
        if revision is not None:
            raise FormatError(f"{name} is a directory here, so the revision {revision!r} means nothing: leave it out")
        return Located(path)
    if path.exists():
        raise FormatError(f"{name} is a file; give the directory of an adapter")
    remote = parsed(name, revision)
    return fetched(remote)


def fetched(remote: HubName) -> Located:
    """The files of an adapter on the Hub, fetched unless they are in its cache."""
    repository = Repository(remote.id, pin="--revision COMMIT, or ID@COMMIT")
    found = hub.listing(repository, remote.revision)
    stem = f"{remote.folder}/" if remote.folder else ""
    names = {name.removeprefix(stem) for name in found.names if name.startswith(stem)}
    where = f"{plain(remote.id, 200)} on the Hub"
    if stem and not names:
        raise FormatError(f"{where} has no folder {shown(remote.folder)}{_folders(found.names)}")
    here = [hub.download(repository, found.commit, f"{stem}{one}").parent for one in (METADATA, SETUP) if one in names]
    wanted = _wanted(here[0] if here else None, names, f"{shown(remote.folder)} of {where}" if stem else where)
    for file in wanted:
        path = hub.download(repository, found.commit, f"{stem}{file}")
    own = [one for one in (METADATA, SETUP) if one in names]
    return Located(path.parents[wanted[-1].count("/")], found.commit, remote, tuple(sorted({*own, *wanted})))


def _folders(names: Collection[str]) -> str:
    """The folders with adapters, as the end of a message."""
    folders = sorted(name.removesuffix(f"/{CONFIG}") for name in names if name.endswith(f"/{CONFIG}"))
    return f"; there are adapters in {listed(folders)}" if folders else ""


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
