"""Folders of repositories, made and checked on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from adapterx import hub
from adapterx.backbones.describe import describe
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.load import local_checkpoint
from adapterx.backbones.spec import Backbone
from adapterx.hub import HubError, Repository
from adapterx.publish.cells import stored_cell
from adapterx.publish.hub import folder
from adapterx.publish.hub.bases import PublicBase, public_base
from adapterx.publish.hub.check import Checked, check
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.facts import Reported, best_seed
from adapterx.publish.hub.plans import PlannedRepository
from adapterx.publish.hub.probes import probes
from adapterx.publish.hub.publication import Form, Publication, of_cell
from adapterx.recipe.publishing import Publish
from adapterx.results.run_file import BackboneSize, Run
from adapterx.store import Store
from adapterx.store.atomic import new_directory
from adapterx.store.store import RECORD

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


class Maker(Protocol):
    """Makes the folders of repositories."""

    def publication(self, planned: PlannedRepository) -> Publication:
        """What a repository is to hold. Raises PublishError, ExportError, FormatError, HubError and DamagedFile."""
        ...

    def write(self, publication: Publication, out: Path, existing: folder.Existing | None = None) -> None:
        """Write a folder in the place of the one that was made before. Raises FormatError and PublishError."""
        ...

    def check(self, publication: Publication, out: Path, *, offline: bool) -> Checked:
        """Have the library answer with a folder, on its declared base.

        Args:
            offline: whether another copy of the base serves, where the declared one cannot be fetched.

        Raises PublishError where scores differ, or there is nothing to check it on.
        """
        ...


@dataclass(frozen=True)
class RunMaker:
    """Makes the folders of one run's repositories.

    Args:
        beside: where tasks of the user's own are looked for.
        bases: public base models that the command line names, by backbone.
    """

    store: Store
    run: Run
    reported: Reported
    settings: Publish
    beside: Path
    bases: Mapping[str, str]
    uploaded: Mapping[str, PublicBase] = field(default_factory=dict)
    """Base models that are published along, by backbone."""
    copies: Mapping[str, Path] = field(default_factory=dict)
    """Directories with the very files of these."""

    def publication(self, planned: PlannedRepository) -> Publication:
        """The adapter of one of its cells."""
        cells = [stored_cell(self.store, self.run, one.cell.label) for one in planned.cells]
        cell, chosen = best_seed(cells)
        base = self.base(cell.size)
        form = Form(self.settings.format, self.settings.dtype, self.settings.licence)
        made = of_cell(cell, self.run, self.reported, planned.id, base, form, self.beside)
        return replace(made, chosen=chosen)

    def base(self, size: BackboneSize) -> PublicBase:
        """The public equal of one of the run's backbones."""
        if size.name in self.uploaded:
            return self.uploaded[size.name]
        return public_base(size, self.bases.get(size.name, self.settings.base_models.get(size.name)))

    def write(self, publication: Publication, out: Path, existing: folder.Existing | None = None) -> None:
        """Write everything that is known of it."""
        rewrite(out, lambda new: folder.write(new, publication, self._stored(publication), existing))

    def _stored(self, publication: Publication) -> float:
        """When its evaluation was stored, in seconds since 1970."""
        cell = publication.cell
        assert cell is not None
        record = cell.evaluation
        directory = self.store.directory(record.kind, record.label, record.id)
        return (directory / RECORD).stat().st_mtime

    def check(self, publication: Publication, out: Path, *, offline: bool) -> Checked:
        """The stored scores of some of its test items decide."""
        cell = publication.cell
        assert cell is not None
        own = Backbone(model=cell.size.model, revision=cell.size.revision)
        there = self._is_same(own, cell.size)
        if (same := self.copies.get(cell.size.name)) is not None:
            return check(out, publication, probes(self.store, publication, own), same)
        declared = Backbone(model=publication.base.id, revision=publication.base.revision)
        fetched = fetch(publication.base)
        if fetched is not None and not offline:
            raise PublishError(f"the declared base model cannot be fetched: {fetched}")
        if fetched is not None and not there:
            raise PublishError(f"nothing to check the folder on: {fetched}")
        wanted = probes(self.store, publication, own if there else declared)
        copy = None if fetched is None else local_checkpoint(own)
        return check(out, publication, wanted, copy)

    @staticmethod
    def _is_same(own: Backbone, size: BackboneSize) -> bool:
        """Whether the run's own backbone is still there, and the same."""
        try:
            return describe(own).key == size.key
        except (BackboneError, HubError):
            return False


def rewrite(out: Path, fill: Callable[[Path], None]) -> None:
    """Write a directory in the place of the one of before, which goes once the new one is whole."""
    whole = out.with_name(f".{out.name}-whole")
    shutil.rmtree(whole, ignore_errors=True)
    with new_directory(whole) as new:
        fill(new)
    shutil.rmtree(out, ignore_errors=True)
    whole.rename(out)


def fetch(base: PublicBase) -> str | None:
    """Fetch a base model into the Hub's cache; why it cannot be, None where it is there."""
    repository = Repository(base.id)
    try:
        names = hub.listing(repository, base.revision).names
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            if name in names:
                hub.download(repository, base.revision, name)
        first = next((name for name in _WEIGHTS if name in names), None)
        if first is None:
            return f"{base.id} at {base.revision[:12]} has no weights of transformers"
        hub.download(repository, base.revision, first)
        shards = [
            name for name in names if first.endswith(".index.json") and name.startswith(first.split(".")[0] + "-")
        ]
        for name in sorted(shards):
            hub.download(repository, base.revision, name)
    except HubError as error:
        return str(error)
    return None
