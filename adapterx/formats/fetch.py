"""Adapter directories by name: one here, or one on the Hub at a commit."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from adapterx.backbones import hub
from adapterx.formats.errors import FormatError
from adapterx.formats.files import (
    CONFIG,
    FUSION_CONFIG,
    FUSION_WEIGHTS,
    HEAD_CONFIG,
    HUB_HEAD,
    HUB_WEIGHTS,
    METADATA,
    NAMES,
    PEFT_WEIGHTS,
    SETUP,
    check_names,
)
from adapterx.places import expanded

_BESIDE = (HEAD_CONFIG, HUB_HEAD, FUSION_CONFIG, FUSION_WEIGHTS)
"""Files of the directories of a composed setup that hold no adapter: its head's and its fusion's."""


def locate(name: str, revision: str | None = None) -> Path:
    """A local directory with an adapter's files: the directory of that name, or a download from the Hub.

    Only the files an adapter is made of are fetched: no pickles, no code.

    Args:
        revision: a commit of the Hub repository; a branch or a tag, or None for the main branch, means its commit of
            this moment.

    Raises FormatError, and BackboneError (a ValueError too) for what the Hub does not give.
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
    for weights in (PEFT_WEIGHTS, HUB_WEIGHTS):
        # Weights come last, so a commit that has them is whole.
        if cached := hub.pinned(name, revision, weights):
            return cached.parent
    commit, found = hub.look_up(name, revision)
    return hub.fetch(name, commit, _wanted(name, found))


def _wanted(name: str, found: Collection[str]) -> list[str]:
    """Which files of a repository make its adapters, in its root or in directories there; weights last."""
    parts = {file.rpartition("/")[0] for file in found if file.count("/") <= 1 and file.rpartition("/")[2] == CONFIG}
    beside = [file for file in found if file.count("/") == 1 and file.rpartition("/")[2] in _BESIDE]
    if not parts:
        check_names(found, f"{name} on the Hub")
    wanted = [file for file in beside if file.rpartition("/")[0] not in parts]
    for part in sorted(parts, reverse=True):
        inside = {file.rpartition("/")[2] for file in found if file.rpartition("/")[0] == part}
        check_names(inside, f"{part} of {name} on the Hub" if part else f"{name} on the Hub")
        wanted += [f"{part}/{own}" if part else own for own in NAMES if own in inside]
    return [file for file in (METADATA, SETUP) if file in found and file not in wanted] + wanted
