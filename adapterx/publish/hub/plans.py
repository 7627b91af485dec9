"""Which repositories the adapters of a run become, by name; nothing is read of their tensors yet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapterx.publish.cells import find
from adapterx.publish.hub.errors import PublishError
from adapterx.recipe.publishing import HUB_NAME, Publish
from adapterx.report.scores import setting
from adapterx.results.run_file import PlannedCell, Run
from adapterx.wording import shown

_LONGEST = 96
"""Characters of a repository's name on the Hub."""


@dataclass(frozen=True)
class PlannedRepository:
    """A repository, and the cells of which one becomes its adapter."""

    id: str
    """NAMESPACE/NAME."""
    cells: tuple[PlannedCell, ...]
    """Of one setting, by seed."""

    @property
    def name(self) -> str:
        """Without the namespace."""
        return self.id.rpartition("/")[2]


def single(run: Run, cell: str, repository: str) -> PlannedRepository:
    """One cell, by its label or how it begins, in a repository of that very name. Raises ExportError, PublishError."""
    return PlannedRepository(check_id(repository), (find(run, cell),))


def of_run(run: Run, settings: Publish, namespace: str) -> list[PlannedRepository]:
    """A repository for each setting, or each cell, that has an adapter. Raises PublishError where there is none.

    Args:
        settings: of the recipe, with what the command line says laid over it.
        namespace: a user or an organisation.
    """
    wanted = settings.cells or ("",)
    cells = [
        one
        for one in run.cells
        if one.refused is None and one.target is not None and one.cell.label.startswith(tuple(wanted))
    ]
    if not cells:
        raise PublishError(
            f"the run '{run.name}' has no cell with an adapter to publish"
            + (f" among {', '.join(map(shown, settings.cells))}" if settings.cells else "")
        )
    by_setting: dict[object, list[PlannedCell]] = {}
    for one in cells:
        key = setting(one.cell) if settings.merged_seeds == "best" else one.cell
        by_setting.setdefault(key, []).append(one)
    stem = settings.prefix or run.name
    found = []
    for of_one in by_setting.values():
        of_one.sort(key=lambda one: one.cell.seed)
        label = of_one[0].cell.label
        if settings.merged_seeds == "best":
            label = label.removesuffix(f".seed{of_one[0].cell.seed}")
        found.append(PlannedRepository(check_id(f"{namespace}/{named(f'{stem}-{label}')}"), tuple(of_one)))
    _check_apart(found)
    return found


def named(text: str) -> str:
    """A name that the Hub takes: letters, digits and single `-` and `_`, at most 96 characters."""
    plain = re.sub(r"[-.]{2,}|[^A-Za-z0-9_-]+", "-", text).strip("-_")
    plain = re.sub(r"-{2,}", "-", plain)
    if len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST - 9].rstrip('-_')}-{digest}"


def check_id(repository: str) -> str:
    """The id itself. PublishError for one that the Hub does not take."""
    if not re.fullmatch(rf"{HUB_NAME}/{HUB_NAME}", repository) or "--" in repository or ".." in repository:
        raise PublishError(
            f"{shown(repository)} is no repository's id: write USER/NAME, in letters, digits and single '-', '_', '.'"
        )
    return repository


def _check_apart(found: Sequence[PlannedRepository]) -> None:
    seen: dict[str, PlannedRepository] = {}
    for one in found:
        other = seen.setdefault(one.id.lower(), one)
        if other is not one:
            raise PublishError(
                f"the cells {other.cells[0].cell.label} and {one.cells[0].cell.label} would share the repository"
                f" {one.id}: rename one of them in the recipe"
            )
