"""What one call of `adapterx publish` is about: a run or a directory, its repositories, and where folders lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapterx.publish.cells import find
from adapterx.publish.hub import plans
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.facts import Reported
from adapterx.publish.hub.making import Maker, RunMaker
from adapterx.publish.hub.plans import PlannedRepository
from adapterx.recipe.publishing import Publish
from adapterx.results import run_file
from adapterx.results.run_file import Run
from adapterx.store import Store, lock
from adapterx.wording import shown

FOLDER = "publish"
"""Below a run's directory: a folder per repository, and the journal."""


@dataclass(frozen=True)
class PublishOptions:
    """What the command line says."""

    repository: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those of `Publish` that are given."""
    bases: tuple[str, ...] = ()
    """`ID[@REVISION]`, or `BACKBONE=ID[@REVISION]`."""
    upload_base: str | None = None
    out: Path | None = None


@dataclass(frozen=True)
class Session:
    """Repositories, what makes their folders, and where these lie."""

    name: str
    """Of the run, or of the directory."""
    planned: tuple[PlannedRepository, ...]
    maker: Maker
    settings: Publish
    folders: Path
    upload_base: str | None = None
    """The repository that the embedded backbone goes to."""
    whole_run: bool = False
    """Whether it publishes a run: then there is a collection and an index."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from publishing the same at the same time."""
        return lock.hold(self.folders / ".lock", f"publishing {self.name}")

    def folder(self, planned: PlannedRepository) -> Path:
        """Where the folder of a repository lies."""
        return self.folders / planned.name


def of_run(directory: Path, root: Path, cell: str, asked: PublishOptions, beside: Path) -> Session:
    """A run, or one cell of it.

    Args:
        directory: of the run.
        root: of the store.
        cell: a cell's label or how it begins; empty for the run.
        beside: where tasks of the user's own are looked for.

    Raises PublishError, ExportError, and what reading a run raises.
    """
    store, run = Store(root), run_file.read(directory)
    settings = _settings(run, asked)
    repository = asked.repository
    if cell:
        found = find(run, cell)
        name = repository or ""
        if "/" not in name:
            name = f"{_namespace(repository or settings.namespace)}/{plans.named(f'{run.name}-{found.cell.label}')}"
        planned = [plans.single(run, found.cell.label, name)]
    else:
        if repository is not None and "/" in repository:
            namespace, _, prefix = repository.partition("/")
            settings = settings.model_copy(update={"prefix": prefix})
        else:
            namespace = _namespace(repository or settings.namespace)
        planned = plans.of_run(run, settings, namespace)
    used = {one.cells[0].cell.backbone for one in planned}
    bases = _bases(asked.bases, sorted(used))
    maker = RunMaker(store, run, Reported.of(store, directory), settings, beside, bases)
    folders = asked.out or directory / FOLDER
    return Session(run.name, tuple(planned), maker, settings, folders, asked.upload_base, whole_run=not cell)


def of_directory(directory: Path, asked: PublishOptions, root: Path) -> Session:
    """An adapter's directory, as `adapterx export` or a library wrote it. Raises PublishError and FormatError."""
    from adapterx.publish.hub.directories import DirectoryMaker

    settings = Publish.model_validate(dict(asked.settings))
    name = plans.named(directory.resolve().name)
    repository = asked.repository or f"{_namespace(None)}/{name}"
    if "/" not in repository:
        repository = f"{repository}/{name}"
    planned = (PlannedRepository(plans.check_id(repository), ()),)
    if len(asked.bases) > 1:
        raise PublishError("--base-model is given twice, and a directory has one base model")
    base = asked.bases[0] if asked.bases else None
    maker = DirectoryMaker(directory, settings, base)
    return Session(name, planned, maker, settings, asked.out or root / FOLDER, asked.upload_base)


def _settings(run: Run, asked: PublishOptions) -> Publish:
    """The recipe's settings, with those of the command line laid over them."""
    given = run.recipe.get("publish")
    recipe = dict(given) if isinstance(given, Mapping) else {}
    return Publish.model_validate({**recipe, **asked.settings}, strict=False)


def _bases(given: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
    """Public base models by backbone. PublishError where it is not clear which is whose."""
    found = {}
    for one in given:
        name, mark, id = one.rpartition("=")
        if not mark and len(backbones) > 1:
            raise PublishError(
                f"--base-model {shown(one)}: the cells have {len(backbones)} backbones, {', '.join(backbones)}: say"
                f" whose it is, as in --base-model {backbones[0]}={one}"
            )
        if mark and name not in backbones:
            raise PublishError(f"--base-model {shown(one)}: the backbones are {', '.join(backbones)}")
        found[name or backbones[0]] = id
    return found


def _namespace(given: str | None) -> str:
    """A user or an organisation: the one that is given, or who is logged in. PublishError where nobody is."""
    from adapterx.publish.hub.client import user

    if given:
        return given
    found = user()
    if found is None:
        raise PublishError("nobody is logged in: say where to with --repo USER, or log in with `hf auth login`")
    return found
