"""Do stages: from a bundle of the plan to stored results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapterx import reference
from adapterx.backbones.errors import BackboneError
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.spec import Backbone
from adapterx.engine.bundle import shape_of
from adapterx.engine.cell import Pool, TaskData, TrainingCell
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.halving import Bracket
from adapterx.engine.masking import Vocabulary
from adapterx.engine.predict import TrainedCell
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.train import Outcome, train
from adapterx.errors import AdapterxError
from adapterx.executors import noted, tuning, weights
from adapterx.executors.apart import Fail, apart
from adapterx.executors.data import Data
from adapterx.executors.device import Machine, free_memory
from adapterx.executors.evaluations import Evaluations
from adapterx.executors.progress import RunProgress
from adapterx.executors.provenance import gpu, peak_memory, surroundings
from adapterx.executors.tuning import Chosen
from adapterx.limits import Limit
from adapterx.methods.base import MethodSpec
from adapterx.methods.head import Head
from adapterx.methods.merging import Merging
from adapterx.methods.method import Slot
from adapterx.plan import Plan, Stage, Training
from adapterx.stopping import shielded
from adapterx.store import JSON, DamagedFile, Store
from adapterx.tasks.facts import TaskPart
from adapterx.tasks.kinds import kind
from adapterx.tasks.sampling import pool_probabilities, weighted_probabilities
from adapterx.transfers.base import TransferSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ADAPTER, LOG = "adapter.safetensors", "training.jsonl"


@dataclass(frozen=True)
class Loaded:
    """The backbone in memory."""

    backbone: Backbone
    loaded: LoadedBackbone
    encoder: PackedEncoder
    prefix: PrefixCache | None


class Worker:
    """Trains and evaluates bundles of one plan, with one backbone in memory at a time.

    Args:
        data: the examples of the plan's tasks.
        machine: where the backbone lives, and how bundles are worked off there.
        checkpoint_seconds: how much work a killed run may lose.
        progress: hears of every training step, and of every pass of an evaluation.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        data: Data,
        machine: Machine,
        checkpoint_seconds: float,
        progress: RunProgress,
    ) -> None:
        self.plan = plan
        self.store = store
        self.data = data
        self.machine = machine
        self.checkpoints = Checkpoints(store.root / "checkpoints", checkpoint_seconds)
        self.progress = progress
        self.current: Loaded | None = None
        self._unusable: dict[str, AdapterxError] = {}
        """By backbone: why it cannot be loaded, which the next bundle need not find out again."""
        self._weighed: dict[str, weights.Weighed] = {}
        """By stage: the weights tuned for it, which halves of a bundle that failed need not choose again."""

    def holds(self, stage: Stage) -> bool:
        """Whether the stage's backbone is the one in memory."""
        return self.current is not None and self.current.backbone == stage.backbone

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        """Do the stages of one bundle and store their results. Whatever it raises, stored results are whole.

        Args:
            fail: hears of a stage that fails for a reason of its own, and of the reason; the others go on.
        """
        if isinstance(stages[0].work, Training):
            self._train(stages, fail)
        else:
            Evaluations(self).do(stages, fail)

    def backbone(self, stage: Stage) -> Loaded:
        """The stage's backbone, loaded. BackboneError, the same each time, for one that cannot be."""
        if self.current is None or self.current.backbone != stage.backbone:
            self.current = None  # free the old one before the new one comes
            name = repr(stage.backbone)
            if name in self._unusable:
                raise self._unusable[name]
            try:
                loaded = load(stage.backbone, stage.info, self.machine.device)
            except AdapterxError as error:
                self._unusable[name] = error
                raise
            encoder = PackedEncoder(loaded.model, f"{stage.info.key} {stage.backbone.load}")
            self.current = Loaded(stage.backbone, loaded, encoder, self._prefix(encoder))
        return self.current

    def _prefix(self, encoder: PackedEncoder) -> PrefixCache | None:
        cache = self.plan.recipe.prefix_cache
        if cache.where == "none":
            return None
        directory = self.store.root / "cache" / "prefix" if cache.where == "disk" else None
        dtype = None if cache.precision == "exact" else getattr(torch, cache.precision)
        limit = int(cache.gigabytes * 1e9)
        if directory is None:
            # Half of what is free: bundles need room too, and what does not fit is computed each time.
            limit = min(limit, free_memory("cpu") // 2)
        return PrefixCache(encoder, limit, directory, dtype)

    def _train(self, stages: Sequence[Stage], fail: Fail) -> None:
        current = self.backbone(stages[0])
        cells: list[TrainingCell] = []
        places: list[tuple[Stage, range, Bracket | None]] = []
        of_data: dict[str, Mapping[str, JSON]] = {}
        for stage in stages:
            with apart(stage, fail):
                own, bracket = self._candidates(stage, current.loaded, len(cells))
                assert isinstance(stage.work, Training)
                of_data[stage.id] = noted.of_training(own[0], stage.work.tasks)
                noted.tell(of_data[stage.id].get("remarks"))
                places.append((stage, range(len(cells), len(cells) + len(own)), bracket))
                cells += own
        if not cells:
            return
        if stages[0].work.lane == "reference":
            (alone,) = cells
            outcomes = [reference.train(current.loaded.model, alone, self.checkpoints, self.progress.steps)]
        else:
            run = [bracket for _, _, bracket in places if bracket is not None]
            outcomes = train(
                current.encoder, cells, self.checkpoints, self.progress.steps, self.machine.options, current.prefix, run
            )
        with shielded():  # what is trained is stored, even if the run is to end
            for stage, span, bracket in places:
                with apart(stage, fail):
                    chosen = tuning.choose([outcomes[place] for place in span], bracket)
                    self._commit_training(stage, chosen, len(cells), of_data[stage.id])
        self.checkpoints.forget(self._stored)

    def _candidates(
        self, stage: Stage, loaded: LoadedBackbone, start: int
    ) -> tuple[list[TrainingCell], Bracket | None]:
        """The trainings of a stage, and the bracket between them if there are several."""
        assert isinstance(stage.work, Training)
        cells = tuning.candidates(self._cell(stage, loaded), stage.work.train)
        prune = stage.work.train.prune
        if prune is None:
            return cells, None
        judged = tuple(
            replace(task, dev=self._tokenised(part, stage.work, loaded, "dev", prune.limit))
            for task, part in zip(cells[0].tasks, stage.work.tasks, strict=True)
        )
        return cells, tuning.bracket(cells, start, prune, judged)

    def _stored(self, key: str) -> bool:
        """Whether the training of a checkpoint's key has its result, be it of this plan or of another."""
        kind, id, *_ = key.split(" ")  # a candidate's learning rate may follow
        return self.store.find(id, kind, kind) is not None

    def _cell(self, stage: Stage, loaded: LoadedBackbone) -> TrainingCell:
        work = stage.work
        assert isinstance(work, Training)
        tasks = tuple(self._task(part, work, loaded) for part in work.tasks)
        below = [self.slot(self.plan.stages[id]) for id in stage.inputs]
        initial: Mapping[str, Tensor] | None = None
        if work.transfer is not None:
            initial = self._handed_on(stage, work.transfer, below)
        elif stage.method.trains_backbone:
            assert self.current is not None
            initial = self.current.encoder.weights()
        return TrainingCell(
            name=stage.slug,
            key=f"{stage.kind} {stage.id}",
            seed=work.seed,
            method=_acting(work, stage.method, below),
            settings=work.train.candidates[0],
            tasks=tasks,
            probabilities=_probabilities(tasks, work),
            initial=initial,
            lower=tuple(below) if work.lies_upon_inputs else (),
        )

    def _task(self, part: TaskPart, work: Training, loaded: LoadedBackbone) -> TaskData:
        stopping = work.train.early_stopping
        head = _head(part, loaded.info)
        text = head.kind.drawn
        initial = {f"{head.prefix}{name}": tensor for name, tensor in loaded.masked_lm.items()} if text else {}
        return TaskData(
            head=head,
            metric=None if text else self.data.metrics(part)[0],
            train=self._tokenised(part, work, loaded, "train", work.train.limit),
            dev=self._tokenised(part, work, loaded, "dev", stopping.looked_at) if stopping else (),
            vocabulary=_vocabulary(loaded.tokenizer) if text else None,
            initial=initial,
        )

    def _tokenised(
        self, part: TaskPart, work: Training, loaded: LoadedBackbone, split: str, limit: Limit | None
    ) -> tuple[Pool, ...]:
        length = work.train.max_length
        return self.data.pools(part, split, limit, loaded.tokenizer, loaded.tokenizer_key, length)

    def _commit_training(self, stage: Stage, chosen: Chosen, together: int, of_data: Mapping[str, JSON]) -> None:
        assert isinstance(stage.work, Training)
        outcome, state = chosen.outcome, chosen.outcome.state
        more: dict[str, JSON] = {
            "lane": stage.work.lane,
            "trained_together": together,
            "trained_parameters": state.trained_parameters,
        }
        result: dict[str, JSON] = {
            "steps": state.step,
            "examples": state.examples,
            "tokens": state.tokens,
            "final_loss": state.losses[-1][0] if state.losses else None,
            "best_step": state.best.step if state.best else None,
            "best_dev": state.best.score if state.best else None,
            **of_data,
        }
        if stage.work.train.prune is not None:
            result |= tuning.record(chosen)
            more |= {"candidates": len(chosen.candidates), "examples": chosen.examples}
        seconds = chosen.seconds
        if stage.id in self._weighed:
            result |= weights.record(self._weighed[stage.id])
            seconds += self._weighed[stage.id].seconds
        if outcome.status == "diverged":
            every = "" if len(chosen.candidates) == 1 else "with every learning rate, at the latest: "
            result["message"] = f"{every}the loss or its gradient was not finite at step {state.step + 1}"
        self.store.commit(
            stage.kind,
            stage.slug,
            stage.id,
            settings=stage.settings,
            inputs=stage.inputs,
            files={ADAPTER: partial(_save, outcome.trained), LOG: _log(outcome)},
            result=result,
            provenance=self.provenance(seconds, more),
            status="diverged" if outcome.status == "diverged" else "done",
        )

    def with_head(self, target: Stage) -> tuple[TrainedCell, Head]:
        """A finished training of one task, and its head."""
        return self.trained(target), _trained_head(target)

    def trained(self, target: Stage) -> TrainedCell:
        """The adapters of a finished training, the frozen ones below included, and its heads' tensors."""
        assert isinstance(target.work, Training)
        tensors = self._tensors(target)
        below = [self.slot(self.plan.stages[id]) for id in target.inputs if target.work.lies_upon_inputs]
        slots = (*below, Slot(_acting(target.work, target.method, below), _adapter_of(tensors)))
        return TrainedCell(slots, _under("head.", tensors))

    def slot(self, stage: Stage) -> Slot:
        """The adapter of a finished training."""
        return Slot(stage.method, _adapter_of(self._tensors(stage)))

    def _handed_on(self, stage: Stage, way: TransferSpec, inputs: Sequence[Slot]) -> Mapping[str, Tensor] | None:
        """What a target's training starts from; None where it starts as its method does."""
        assert self.current is not None and isinstance(stage.work, Training)
        method, shape = inputs[0].method, shape_of(self.current.encoder)
        merging = self._tuned(stage, way, inputs, way.merging(method)).merging if way.tunes else None
        return way.initial(method, [slot.tensors for slot in inputs], merging, shape, stage.work.seed)

    def _tuned(self, stage: Stage, how: TransferSpec, slots: Sequence[Slot], merging: Merging) -> weights.Weighed:
        """The weights chosen on the dev data of the stage's inputs."""
        current, work = self.current, stage.work
        assert current is not None and isinstance(work, Training)
        if stage.id not in self._weighed:
            members = []
            for id, slot, parts in zip(stage.inputs, slots, work.member_dev, strict=True):
                member = self.plan.stages[id]
                assert isinstance(member.work, Training)
                tasks = tuple(self._judged(part, member.work, current.loaded, how.tuned_on) for part in parts)
                members.append(weights.Member(slot, _under("head.", self._tensors(member)), tasks))
            self._weighed[stage.id] = weights.choose(current.encoder, members, merging, work.seed, current.prefix)
        return self._weighed[stage.id]

    def _judged(self, part: TaskPart, work: Training, loaded: LoadedBackbone, limit: Limit | None) -> TaskData:
        """A task with nothing but its dev set, cut as the training cut its texts."""
        dev = self._tokenised(part, work, loaded, "dev", limit)
        return TaskData(_head(part, loaded.info), self.data.metrics(part)[0], train=(), dev=dev)

    def _tensors(self, stage: Stage) -> dict[str, Tensor]:
        from safetensors.torch import load_file

        record = self.store.find(stage.id, stage.kind, stage.slug)
        if record is None:
            raise DamagedFile(f"{stage.kind} {stage.slug} is no longer stored; run again to make it anew", stage.id)
        return load_file(self.store.read(record, ADAPTER))

    def provenance(self, seconds: float, more: dict[str, JSON]) -> dict[str, JSON]:
        return {
            **surroundings(),
            "device": self.machine.device,
            **gpu(),
            "seconds": round(seconds, 3),
            "peak_memory_bytes": peak_memory(),
            **more,
        }


def _acting(work: Training, method: MethodSpec, below: Sequence[Slot]) -> MethodSpec:
    """What is trained, and acts above the adapters below."""
    return method if work.transfer is None else work.transfer.acting(method, [slot.method for slot in below])


def _probabilities(tasks: Sequence[TaskData], work: Training) -> NDArray[np.float64]:
    """How often each training pool is drawn, over the pools of all tasks in order."""
    sizes, sampling = [[len(pool.data) for pool in task.train] for task in tasks], work.sampling
    if sampling.weights is not None:
        return weighted_probabilities(sizes, [sampling.weights[part.task] for part in work.tasks])
    return pool_probabilities([size for of_task in sizes for size in of_task], sampling.temperature, sampling.cap)


def _head(part: TaskPart, info: BackboneInfo) -> Head:
    return Head(part.task, part.format, kind(part.format).size(len(part.labels), info.vocabulary))


def _vocabulary(tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    """What can be masked, and with what."""
    mask = tokenizer.convert_tokens_to_ids("<mask>")
    if not isinstance(mask, int) or mask == tokenizer.unk_token_id:
        raise BackboneError("the backbone's tokenizer has no <mask>, so there is no masked language modelling with it")
    return Vocabulary(len(tokenizer), mask, tuple(sorted({*tokenizer.all_special_ids, mask})))


def _trained_head(target: Stage) -> Head:
    """The head bears the name of the task it was trained on, which need not be the one evaluated."""
    assert isinstance(target.work, Training)
    (trained_on,) = target.work.tasks
    return _head(trained_on, target.info)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _adapter_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is not a head's; of `full`, embeddings too."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}


def _save(trained: TrainedCell, path: Path) -> None:
    """The trained adapter and its heads; a frozen adapter below stays in the stage that made it."""
    from safetensors.torch import save_file

    tensors = {**trained.slots[-1].tensors, **trained.heads}
    save_file({name: tensor.contiguous() for name, tensor in sorted(tensors.items())}, path, metadata={"format": "pt"})


def _log(outcome: Outcome) -> bytes:
    """Loss and learning rate by step, dev scores where they were taken; JSON lines."""
    looks = dict(outcome.state.looks)
    lines = []
    for step, (loss, rate) in enumerate(outcome.state.losses, start=1):
        line: dict[str, float] = {"step": step, "loss": loss, "learning_rate": rate}
        if step in looks:
            line["dev"] = looks[step]
        lines.append(json.dumps(line))
    return "".join(f"{line}\n" for line in lines).encode()
