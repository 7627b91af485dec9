"""The weights of a merger, chosen before it is trained: on the dev sets of the tasks that its members learnt."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.bundle import shape_of
from adapterx.engine.cell import TaskData
from adapterx.engine.predict import TrainedCell
from adapterx.engine.prefix import PrefixCache
from adapterx.engine.train import task_score
from adapterx.methods import merge_weights
from adapterx.methods.merge_weights import Trial, Vector
from adapterx.methods.merging import Merging, merge, merged_method
from adapterx.methods.method import Slot
from adapterx.results.merge_weights import ChosenWeights, TriedWeights


@dataclass(frozen=True, eq=False)
class Member:
    """One of the adapters that are merged, and what judges it."""

    slot: Slot
    heads: Mapping[str, Tensor]
    """Its own, trained with it."""
    tasks: tuple[TaskData, ...]
    """What it learnt, with dev sets in its training languages."""


@dataclass(frozen=True)
class Weighed:
    """The choice, and all that it was made from."""

    merging: Merging
    """With the weights chosen."""
    trials: tuple[Trial, ...]
    """In the order tried."""
    seconds: float = field(compare=False)
    """What it took."""


def choose(
    encoder: PackedEncoder, members: Sequence[Member], merging: Merging, seed: int, prefix: PrefixCache | None = None
) -> Weighed:
    """Merge with each candidate of `merge_weights.search`, and score it with every member's heads on its dev sets.

    What decides is the mean over members; a member's score is the mean over its tasks of the mean over their languages
    of the main metric. It follows from the arguments alone, so a run that is resumed chooses alike.

    Args:
        merging: its weights are set aside.
        seed: of the members, and of DARE's masks.
    """
    started = time.monotonic()
    method, shape = members[0].slot.method, shape_of(encoder)
    tensors = [member.slot.tensors for member in members]

    def scored(vector: Vector) -> tuple[float, ...]:
        weighted = _with(merging, vector)
        slot = Slot(merged_method(method, weighted, len(members)), merge(method, tensors, weighted, shape, seed))
        return tuple(_score(encoder, slot, member, prefix) for member in members)

    trials = merge_weights.search(len(members), merging.sums, scored)
    return Weighed(_with(merging, merge_weights.best(trials).weights), trials, time.monotonic() - started)


def record(weighed: Weighed) -> ChosenWeights:
    """The result's account of the choice: weights in the order of the stage's inputs, scores from 0 to 1."""
    assert weighed.merging.weights is not None
    tried = tuple(
        TriedWeights(
            weights=[float(weight) for weight in trial.weights], dev=trial.score, dev_by_member=list(trial.scores)
        )
        for trial in weighed.trials
    )
    return ChosenWeights(tuple(weighed.merging.weights), tried)


def _with(merging: Merging, vector: Vector) -> Merging:
    return replace(merging, weights=tuple(float(weight) for weight in vector))


def _score(encoder: PackedEncoder, slot: Slot, member: Member, prefix: PrefixCache | None) -> float:
    merged = TrainedCell((slot,), member.heads)
    return sum(task_score(encoder, task, merged, prefix) for task in member.tasks) / len(member.tasks)
