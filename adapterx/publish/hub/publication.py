"""One adapter on its way to one repository, with everything that its card states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from adapterx.methods.base import Layout
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.cells import StoredCell
from adapterx.publish.hub import data
from adapterx.publish.hub.bases import PublicBase
from adapterx.publish.hub.data import TaskUse
from adapterx.publish.hub.facts import CellScores, Reported, TrainingFacts, scores, trainings
from adapterx.publish.hub.joining import as_one, at_base, layout_for
from adapterx.publish.hub.licences import Licence
from adapterx.recipe.publishing import Dtype
from adapterx.results.run_file import Run

_DTYPES: dict[Dtype, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Form:
    """How adapters are written."""

    layout: Layout | None = None
    """None for `peft` where it has the method, else `adapterhub`."""
    dtype: Dtype = "float32"
    licence: str | None = None


@dataclass(frozen=True)
class Publication:
    """An adapter, its repository, and what is to be said of it."""

    repository: str
    layout: Layout
    adapters: AdapterSet
    """As it lies at the root: one adapter, or AdapterHub's composed setup."""
    members: AdapterSet | None
    """The stack that the one at the root stands for."""
    base: PublicBase
    dtype: Dtype
    licence: Licence
    uses: tuple[TaskUse, ...] = ()
    merged: bool = False
    """Whether it was made of several adapters by arithmetic."""
    scores: CellScores | None = None
    """None of an adapter that no run has evaluated."""
    trainings: tuple[TrainingFacts, ...] = ()
    chosen: str = ""
    """How it was chosen among its seeds."""
    cell: StoredCell | None = None
    run: Run | None = None

    @property
    def stage(self) -> str:
        """Id of what its scores are of: the evaluation, or the training where there is none."""
        return self.adapters.metadata.stage if self.cell is None else self.cell.evaluation.id

    @property
    def predictions(self) -> str:
        """SHA-256 of the stored predictions behind the scores; empty where there are none."""
        from adapterx.results.predictions import NAME

        entry = None if self.cell is None else self.cell.evaluation.files.get(NAME)
        return "" if entry is None else entry.sha256

    @property
    def remarks(self) -> Sequence[str]:
        """What training, dev and test data of its tasks have in common."""
        tasks = {one.task for one in self.uses}
        remarks = () if self.run is None else self.run.remarks
        return [one for one in remarks if any(f"'{task}'" in one or f"{task} " in one for task in tasks)]


def of_cell(
    cell: StoredCell, run: Run, reported: Reported, repository: str, base: PublicBase, form: Form, beside: Path
) -> Publication:
    """A cell of a run on its way to a repository.

    Args:
        beside: where tasks of the user's own are looked for.

    Raises PublishError for what no file of the library holds.
    """
    found = data.uses(cell, beside)
    made = of_adapters(cell.adapters, repository, base, form)
    transfer = cell.target.settings.get("transfer")
    return replace(
        made,
        licence=data.licence(base, found, form.licence),
        uses=found,
        merged=isinstance(transfer, dict) and transfer.get("kind") == "merge",
        scores=scores(reported, cell),
        trainings=trainings(cell),
        cell=cell,
        run=run,
    )


def of_adapters(adapters: AdapterSet, repository: str, base: PublicBase, form: Form) -> Publication:
    """Adapters that no run has evaluated, on their way to a repository."""
    layout = layout_for(adapters, form.layout)
    placed = at_base(adapters, base).rounded(_DTYPES[form.dtype])
    whole = as_one(at_base(adapters, base)).rounded(_DTYPES[form.dtype]) if layout == "peft" else placed
    members = placed if len(placed.stack) > len(whole.stack) else None
    return Publication(repository, layout, whole, members, base, form.dtype, data.licence(base, (), form.licence))
