"""Checkpoints on the Hugging Face Hub: which commit a name means, its configuration, its files.

Only the files named here are fetched: no code, and pickles only where there are no safetensors. A pinned commit that is
in the local cache needs no network.
"""

from __future__ import annotations

from pathlib import Path

from adapterx import hub
from adapterx.backbones.checkpoint import (
    CONFIG,
    TOKENIZER,
    check_names,
    is_pickled,
    names_in,
    shard_names,
    single_or_index,
    weight_files,
)
from adapterx.backbones.errors import BackboneError
from adapterx.hub import Repository

_PIN = "`revision: COMMIT` (MODEL@COMMIT on the command line)"


def resolve(model: str, revision: str | None) -> tuple[str, Path]:
    """The commit that `revision` (default: the main branch) means now, and the path of its `config.json`."""
    repository = Repository(model, pin=_PIN)
    if revision is not None and hub.is_commit(revision) and (known := hub.cached(repository, revision, CONFIG)):
        return revision, known
    found = hub.listing(repository, revision)
    check_names(found.names, f"{model} on the Hub")
    return found.commit, hub.download(repository, found.commit, CONFIG)


def download(model: str, commit: str) -> Path:
    """A local directory with the checkpoint's files at a commit."""
    repository = Repository(model, pin=_PIN)
    known = hub.cached(repository, commit, CONFIG)
    if known and _complete(known.parent, model):
        return known.parent
    names = hub.listing(repository, commit).names
    check_names(names, f"{model} on the Hub")
    directory = hub.download(repository, commit, CONFIG).parent
    hub.download(repository, commit, TOKENIZER)
    weights = hub.download(repository, commit, single_or_index(names))
    if weights.suffix == ".json":
        for name in shard_names(weights, model):
            hub.download(repository, commit, name)
    return directory


def tokenizer(model: str, commit: str) -> Path:
    """The tokenizer's file alone."""
    return hub.download(Repository(model, pin=_PIN), commit, TOKENIZER)


def _complete(directory: Path, model: str) -> bool:
    """Whether a snapshot has all that is needed. Of pickles only the list of the commit's files can tell."""
    names = names_in(directory)
    try:
        check_names(names, model)
        weight_files(directory, model)
    except BackboneError:
        return False
    return not is_pickled(names)
