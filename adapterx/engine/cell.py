"""What the engine is told about one training: data, method, settings, and where its weights start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adapterx.engine.batches import Selection
from adapterx.engine.masking import Vocabulary, masked
from adapterx.methods.base import MethodSpec
from adapterx.methods.head import Head
from adapterx.methods.method import Slot
from adapterx.methods.parameters import stream
from adapterx.tasks.encoded import Encoded
from adapterx.tasks.metrics import Metric
from adapterx.tasks.sampling import Sampler
from adapterx.tasks.turns import Turns, TurnSampler
from adapterx.train_settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Pool:
    """The encoded examples of one task in one language."""

    language: str
    data: Encoded
    unanswerable: bool = False
    """Of extractive QA: whether "none" may be the answer."""
    paired: bool = False
    """Whether the second text of each example is in another language."""


@dataclass(frozen=True, eq=False)
class TaskData:
    """One task of a training."""

    head: Head
    metric: Metric | None
    """Judges the dev set, where there is one."""
    train: tuple[Pool, ...]
    dev: tuple[Pool, ...] = ()
    """In the training languages only; used by early stopping."""
    vocabulary: Vocabulary | None = None
    """Of a masked-LM task: what its tokens are masked with."""
    initial: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors of the head to start from; those that are not here start from the seed."""


@dataclass(frozen=True, eq=False)
class TrainingCell:
    """One training of a bundle. Everything it does follows from these fields; its neighbours have no part in it."""

    name: str
    """For people."""
    key: str
    """Names the training in checkpoints: equal keys, equal trainings."""
    seed: int
    method: MethodSpec
    settings: TrainSettings
    tasks: tuple[TaskData, ...]
    probabilities: NDArray[np.float64]
    """How often each training pool is drawn, over the pools of all tasks in order."""
    initial: Mapping[str, Tensor] | None = None
    """Adapter tensors to go on from (transfer `continue`); fresh ones from the seed where None. A `full` cell always
    has them: the backbone's own, or those of its intermediate."""
    lower: tuple[Slot, ...] = ()
    """Frozen adapters below the trained one, the lowest first (transfers `stack` and `fuse`)."""
    turns: Turns | None = None
    """Which pools take turns; None where every example of a batch is drawn by itself."""

    @cached_property
    def pools(self) -> tuple[tuple[int, Pool], ...]:
        """Every training pool with the place of its task in `tasks`."""
        return tuple((place, pool) for place, task in enumerate(self.tasks) for pool in task.train)

    @cached_property
    def sampler(self) -> Sampler:
        sizes, batch = [len(pool.data) for _, pool in self.pools], self.settings.batch_size
        if self.turns is not None:
            return TurnSampler(sizes, self.probabilities, batch, self.seed, self.turns)
        by_epoch = self.settings.epochs is not None
        return Sampler(sizes, self.probabilities, batch, self.seed, whole_epochs=by_epoch)

    @cached_property
    def total_steps(self) -> int:
        if self.settings.steps is not None:
            return self.settings.steps
        assert self.settings.epochs is not None, "settings hold either steps or epochs"
        return self.sampler.steps(self.settings.epochs)

    def drawn(self, step: int) -> list[Selection]:
        """The examples of a step, pool by pool; of text, masked for this step."""
        chosen: dict[int, list[int]] = {}
        for pool, example in self.sampler.batch(step):
            chosen.setdefault(pool, []).append(example)
        return [self._selection(pool, np.array(chosen[pool], dtype=np.int64), step) for pool in sorted(chosen)]

    def _selection(self, number: int, chosen: NDArray[np.int64], step: int) -> Selection:
        head, pool = self.pools[number]
        vocabulary = self.tasks[head].vocabulary
        if vocabulary is None:
            return Selection(head, pool.data, chosen)
        shown = masked(pool.data, chosen, vocabulary, stream("mask", self.seed, step, number))
        return Selection(head, shown, np.arange(len(chosen)))

    def learning_rate(self, step: int) -> float:
        """Rate of a step counted from 0: linear warm-up, then linear decay to 0, as Hugging Face schedules it."""
        warmup = int(np.ceil(self.settings.warmup_ratio * self.total_steps))
        rising, falling = step / max(1, warmup), (self.total_steps - step) / max(1, self.total_steps - warmup)
        share = rising if step < warmup else falling
        assert self.settings.learning_rate is not None, "each candidate of `prune` is a cell with a rate of its own"
        return self.settings.learning_rate * share
