"""Finished trainings, read back from the store as what other stages start from or evaluate."""

from __future__ import annotations

from collections.abc import Sequence

from adapterx.backbones.info import BackboneInfo
from adapterx.engine.predict import TrainedCell
from adapterx.methods.base import MethodSpec
from adapterx.methods.head import Head
from adapterx.methods.method import Slot
from adapterx.plan import Plan, Training
from adapterx.results import adapter_file
from adapterx.results.adapter_file import TrainedTensors
from adapterx.store import DamagedFile, Store
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind


class FinishedTrainings:
    """The trainings of a plan whose results are in a store. DamagedFile names one that is not there any more."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._stages, self._store = plan.stages, store

    def with_head(self, id: str) -> tuple[TrainedCell, Head]:
        """A training of one task, and its head, which bears that task's name: it need not be the one evaluated."""
        stage = self._stages[id]
        assert isinstance(stage.work, Training)
        (trained_on,) = stage.work.tasks
        return self.cell(id), head_of(trained_on, stage.info)

    def cell(self, id: str) -> TrainedCell:
        """The adapters of a training, the frozen ones below included, and its heads' tensors."""
        stage = self._stages[id]
        if not isinstance(stage.work, Training):
            return TrainedCell((self.slot(id),), {})  # an adapter from elsewhere
        tensors = self.tensors(id)
        below = [self.slot(input) for input in stage.inputs if stage.work.lies_upon_inputs]
        return TrainedCell((*below, Slot(acting(stage.work, stage.method, below), tensors.adapter)), tensors.heads)

    def slot(self, id: str) -> Slot:
        """The adapter of a training."""
        return Slot(self._stages[id].method, self.tensors(id).adapter)

    def tensors(self, id: str) -> TrainedTensors:
        """Everything that a training has trained."""
        stage = self._stages[id]
        record = self._store.find(id, stage.kind, stage.label)
        if record is None:
            raise DamagedFile(f"{stage.kind} {stage.label} is no longer stored; run again to make it anew", id)
        return adapter_file.read(self._store.read(record, adapter_file.NAME))


def acting(work: Training, method: MethodSpec, below: Sequence[Slot]) -> MethodSpec:
    """What is trained, and acts above the adapters below."""
    return method if work.transfer is None else work.transfer.acting(method, [slot.method for slot in below])


def head_of(part: TaskPart, info: BackboneInfo) -> Head:
    """The head of a task on a backbone."""
    return Head(part.task, part.format, kind(part.format).size(len(part.labels), info.vocabulary))
