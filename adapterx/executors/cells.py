"""From a training stage of the plan to the trainings of the engine that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from adapterx.backbones.errors import BackboneError
from adapterx.engine.bundle import shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.halving import Bracket
from adapterx.engine.masking import Vocabulary
from adapterx.executors import draws, tuning, weights
from adapterx.executors.backbones import HeldBackbone
from adapterx.executors.data import Data
from adapterx.executors.finished import FinishedTrainings, acting, head_of
from adapterx.executors.texts import (
    ReadTexts,
    learnt_texts,
    paired_texts,
    pruning_texts,
    stopping_texts,
    weighing_texts,
)
from adapterx.limits import Limit
from adapterx.methods.head import VectorComparison
from adapterx.methods.merging import Merging
from adapterx.methods.method import Slot
from adapterx.plan import Plan, Stage, Training
from adapterx.tasks.facts import TaskPart
from adapterx.transfers.base import TransferSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class CellFactory:
    """Makes the cells of training stages: data, where they start from, and what lies below.

    Args:
        data: the examples of the plan's tasks.
        finished: the trainings that others start from.
    """

    def __init__(self, plan: Plan, data: Data, finished: FinishedTrainings) -> None:
        self._stages, self._data, self._finished = plan.stages, data, finished
        self._weighed: dict[str, weights.Weighed] = {}
        """By stage: the weights tuned for it, which halves of a bundle that failed need not choose again."""

    def candidates(self, stage: Stage, backbone: HeldBackbone, start: int) -> tuple[list[TrainingCell], Bracket | None]:
        """The trainings of a stage, and the bracket between them if there are several.

        Args:
            start: the place of the first in its bundle.
        """
        assert isinstance(stage.work, Training)
        cells = tuning.candidates(self._cell(stage, backbone), stage.work.train)
        prune = stage.work.train.prune
        if prune is None:
            return cells, None
        judged = tuple(
            replace(task, dev=self._pools(backbone, pruning_texts(part, stage.work)))
            for task, part in zip(cells[0].tasks, stage.work.tasks, strict=True)
        )
        return cells, tuning.bracket(cells, start, prune, judged)

    def weighed(self, stage: Stage) -> weights.Weighed | None:
        """The merge weights that were tuned for a stage, if they were."""
        return self._weighed.get(stage.id)

    def _cell(self, stage: Stage, backbone: HeldBackbone) -> TrainingCell:
        work = stage.work
        assert isinstance(work, Training)
        tasks = tuple(self._task(part, work, stage, backbone) for part in work.tasks)
        drawn = draws.probabilities(tasks, work)
        below = [self._finished.slot(id) for id in stage.inputs]
        initial: Mapping[str, Tensor] | None = None
        if work.transfer is not None:
            initial = self._handed_on(stage, work.transfer, below, backbone)
        elif stage.method.trains_backbone:
            initial = backbone.encoder.weights()
        return TrainingCell(
            name=stage.label,
            key=f"{stage.kind} {stage.id}",
            seed=work.seed,
            method=acting(work, stage.method, below),
            settings=work.train.candidates[0],
            tasks=tasks,
            probabilities=drawn,
            turns=draws.turns(tasks, drawn, work),
            initial=initial,
            lower=tuple(below) if work.lies_upon_inputs else (),
        )

    def _task(self, part: TaskPart, work: Training, stage: Stage, backbone: HeldBackbone) -> TaskData:
        loaded, head = backbone.loaded, head_of(part, stage.info)
        if head.kind.coupled and work.contrastive is not None:
            head = replace(head, contrast=VectorComparison(work.contrastive.temperature, work.contrastive.pooling))
        text = head.kind.drawn
        initial = {f"{head.prefix}{name}": tensor for name, tensor in loaded.masked_lm.items()} if text else {}
        return TaskData(
            head=head,
            metric=None if not head.kind.scored else self._data.metrics(part)[0],
            train=(
                *self._pools(backbone, learnt_texts(part, work)),
                *self._pools(backbone, paired_texts(part, work)),
            ),
            dev=self._pools(backbone, stopping_texts(part, work)),
            vocabulary=_vocabulary(loaded.tokenizer) if text else None,
            initial=initial,
        )

    def _pools(self, backbone: HeldBackbone, wanted: ReadTexts | None) -> tuple[Pool, ...]:
        """The pools of texts; none where none are wanted."""
        return () if wanted is None else backbone.pools(self._data, wanted)

    def _handed_on(
        self, stage: Stage, way: TransferSpec, inputs: Sequence[Slot], backbone: HeldBackbone
    ) -> Mapping[str, Tensor] | None:
        """What a target's training starts from; None where it starts as its method does."""
        assert isinstance(stage.work, Training)
        method, shape = inputs[0].method, shape_of(backbone.encoder)
        merging = self._tuned(stage, way, inputs, way.merging(method), backbone).merging if way.tunes else None
        return way.initial(method, [slot.tensors for slot in inputs], merging, shape, stage.work.seed)

    def _tuned(
        self, stage: Stage, way: TransferSpec, slots: Sequence[Slot], merging: Merging, backbone: HeldBackbone
    ) -> weights.Weighed:
        """The weights chosen on the dev data of the stage's inputs."""
        work = stage.work
        assert isinstance(work, Training)
        if stage.id not in self._weighed:
            members = []
            for id, slot, parts in zip(stage.inputs, slots, work.member_dev, strict=True):
                tasks = tuple(self._judged(part, self._stages[id], backbone, way.tuned_on) for part in parts)
                members.append(weights.Member(slot, self._finished.tensors(id).heads, tasks))
            self._weighed[stage.id] = weights.choose(backbone.encoder, members, merging, work.seed, backbone.prefix)
        return self._weighed[stage.id]

    def _judged(self, part: TaskPart, member: Stage, backbone: HeldBackbone, limit: Limit | None) -> TaskData:
        """A task with nothing but its dev set."""
        assert isinstance(member.work, Training)
        dev = self._pools(backbone, weighing_texts(part, member.work, limit))
        return TaskData(head_of(part, member.info), self._data.metrics(part)[0], train=(), dev=dev)


def _vocabulary(tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    """What can be masked, and with what."""
    mask = tokenizer.convert_tokens_to_ids("<mask>")
    if not isinstance(mask, int) or mask == tokenizer.unk_token_id:
        raise BackboneError("the backbone's tokenizer has no <mask>, so there is no masked language modelling with it")
    return Vocabulary(len(tokenizer), mask, tuple(sorted({*tokenizer.all_special_ids, mask})))
