"""The data behind an adapter, as its stages name them and the catalog describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from adapterx.publish.cells import StoredCell
from adapterx.publish.hub.bases import PublicBase
from adapterx.publish.hub.licences import Licence, LicensedPart, combined
from adapterx.store import Record
from adapterx.tasks import catalog
from adapterx.tasks.catalog import TaskError, UnknownTask
from adapterx.tasks.spec import TaskSpec

Use = Literal["intermediate training", "training", "test"]


@dataclass(frozen=True)
class TaskUse:
    """A task in one of its uses."""

    task: str
    use: Use
    languages: tuple[str, ...]
    fingerprint: str
    """Names the content of the data."""
    spec: TaskSpec | None
    """None of a task of the user's own that is not at hand."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Ids on the Hub of data sets that hold it."""
        sources = () if self.spec is None else tuple(self.spec.sources.values())
        return tuple(dict.fromkeys(one.hub_dataset for one in sources if one.hub_dataset))

    @property
    def licence(self) -> str:
        """In the words of the task."""
        return "" if self.spec is None else self.spec.licence


def specification(task: str, beside: Path) -> TaskSpec | None:
    """A task of the catalog or beside the recipe; None where it is not at hand."""
    try:
        return catalog.find(task, beside)
    except (UnknownTask, TaskError):
        return None


def uses(cell: StoredCell, beside: Path) -> tuple[TaskUse, ...]:
    """What a cell was trained and tested on, in the order in which it was.

    Args:
        beside: where tasks of the user's own are looked for.
    """
    found = [one for record in cell.trainings for one in _training(record, cell, beside)]
    settings = cell.evaluation.settings
    name = str(settings["task"])
    found.append(TaskUse(name, "test", _languages(settings), str(settings["data"]), specification(name, beside)))
    return tuple({(one.task, one.use, one.fingerprint): one for one in found}.values())


def _training(record: Record, cell: StoredCell, beside: Path) -> Iterator[TaskUse]:
    tasks = cast(Mapping[str, Mapping[str, Any]], record.settings.get("tasks", {}))
    use: Use = "training" if record is cell.target else "intermediate training"
    for name, part in tasks.items():
        yield TaskUse(name, use, _languages(part), str(part.get("data", "")), specification(name, beside))


def _languages(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, settings.get("languages", ())))


def licence(base: PublicBase, found: Sequence[TaskUse], given: str | None) -> Licence:
    """What base model and training data leave.

    Args:
        given: the user's own choice.
    """
    parts = [LicensedPart(f"the base model {base.id}", base.licence)]
    parts += [LicensedPart(f"the training data {name}", text) for name, text in _licences(found).items()]
    return combined(parts, given)


def _licences(found: Sequence[TaskUse]) -> dict[str, str]:
    return {one.task: one.licence for one in found if one.use != "test"}
