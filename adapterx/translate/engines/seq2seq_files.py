"""The files of a translation model, in a directory or on the Hub: which are read, and what names their content.

Weights and JSON files are read, a tokenizer's files by the library that they are for; no code from a repository is
fetched or run. Pickles are read where there are no safetensors, as `backbones.pickle_files` reads them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from adapterx import hub
from adapterx.backbones.checkpoint import (
    CONFIG,
    INDEX,
    PICKLE,
    PICKLE_INDEX,
    TOKENIZER,
    WEIGHTS,
    file_hash,
    names_in,
    shard_names,
    weight_files,
)
from adapterx.hub import Repository
from adapterx.places import expanded
from adapterx.translate.errors import EngineError
from adapterx.wording import plain

TOKENIZERS = (
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "sentencepiece.bpe.model",
    "source.spm",
    "target.spm",
    "target_vocab.json",
)
"""Files of the tokenizers of NLLB, M2M100 and Marian."""
_WEIGHTS = (WEIGHTS, INDEX, PICKLE, PICKLE_INDEX)
_PIN = "MODEL@COMMIT"


@dataclass(frozen=True)
class ModelFiles:
    """Where the files of a model are."""

    model: str
    """As the user names it."""
    directory: Path
    commit: str | None
    """Of a model on the Hub."""

    @property
    def content(self) -> str:
        """Names what they hold: the commit, or the SHA-256 of all that is read."""
        if self.commit is not None:
            return f"hub:{self.commit}"
        digest = hashlib.sha256()
        names = [name for name in (CONFIG, *TOKENIZERS) if (self.directory / name).is_file()]
        for path in [*(self.directory / name for name in names), *weight_files(self.directory, self.model)]:
            digest.update(f"{path.name}:{file_hash(path)}\n".encode())
        return f"local:{digest.hexdigest()}"


def located(model: str, revision: str | None) -> ModelFiles:
    """The files of a model, downloaded where it is on the Hub.

    Args:
        model: a directory, or an id on the Hub.
        revision: on the Hub, a branch, tag or commit; default the main branch.

    Raises EngineError, and HubError for what the Hub does not give.
    """
    local = expanded(model)
    if local.is_dir():
        if revision is not None:
            raise EngineError(f"{model} is a directory, so @{revision} means nothing: leave it out", local)
        _check(names_in(local), model)
        return ModelFiles(model, local, None)
    repository = Repository(model, pin=_PIN)
    found = hub.listing(repository, revision)
    _check(found.names, f"{model} on the Hub")
    directory = hub.download(repository, found.commit, CONFIG).parent
    for name in TOKENIZERS:
        if name in found.names:
            hub.download(repository, found.commit, name)
    weights = hub.download(repository, found.commit, next(name for name in _WEIGHTS if name in found.names))
    if weights.suffix == ".json":
        for name in shard_names(weights, model):
            hub.download(repository, found.commit, name)
    return ModelFiles(model, directory, found.commit)


def _check(names: frozenset[str] | set[str], model: str) -> None:
    """Refuse what is no checkpoint of a translation model."""
    named = plain(model, None)
    if CONFIG not in names:
        raise EngineError(
            f"{named} has no {CONFIG}, so it is no model; give the directory of one, or its id on the Hub"
        )
    if not any(name in names for name in _WEIGHTS):
        raise EngineError(f"{named} has neither {WEIGHTS} nor {PICKLE}: save the model again with save_pretrained")
    if not any(name in names for name in (TOKENIZER, "sentencepiece.bpe.model", "source.spm")):
        raise EngineError(f"{named} has no {TOKENIZER}, and no sentencepiece files: save its tokenizer beside it")
