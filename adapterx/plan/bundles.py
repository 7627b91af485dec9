"""Which stages go together in one pass over one frozen backbone."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, replace

from adapterx.methods.base import MethodSpec
from adapterx.plan import vocabulary
from adapterx.plan.adoption import Adoption
from adapterx.plan.result import Plan
from adapterx.plan.stage import Evaluation, Stage, Training
from adapterx.tasks.kinds import kind


@dataclass(frozen=True)
class Capacity:
    """How much one bundle may be. A stage that is more than that on its own is a bundle by itself."""

    cells: int = 16
    rows: int | None = None
    """Token rows of one training step: enough to fill the machine; more gain nothing."""
    memory: int | None = None
    """Bytes, the backbone's included."""


USUAL = Capacity()


def ready(plan: Plan, stored: Collection[str], given_up: Collection[str] = ()) -> list[str]:
    """Stages still to be done whose inputs are all stored, in the order of the plan.

    Args:
        stored: ids of the stages that have results.
        given_up: ids of those that are not to be tried (again): they diverged, or failed in this run.
    """
    return [
        stage.id
        for stage in plan.stages.values()
        if stage.id not in stored and stage.id not in given_up and all(upstream in stored for upstream in stage.inputs)
    ]


def bundles(plan: Plan, stages: Collection[str], capacity: Capacity = USUAL) -> list[tuple[str, ...]]:
    """Group stages that can share a pass, in the order of the plan, those that see the same batches side by side.

    A group that does not fit one bundle is cut into bundles of nearly equal size. The candidates of one stage stay
    together, however many they are: a rung decides among all of them.
    """
    groups: dict[Hashable, dict[Hashable, list[Stage]]] = {}
    for id, stage in plan.stages.items():
        if id in stages:
            groups.setdefault(structure(stage, plan), {}).setdefault(_batches(stage), []).append(stage)
    found = []
    for group in groups.values():
        ordered = [stage for alike in group.values() for stage in alike]
        found += _cut([stage.id for stage in ordered], _together(ordered, capacity))
    return found


def structure(stage: Stage, plan: Plan) -> Hashable:
    """Equal for stages that one pass can serve; in the reference lane each is alone.

    Trainings: the same frozen weights, method and number of adapters; what they learn, how and how long may differ.
    Evaluations: the same frozen weights, texts and lowest adapted layer; of a search, whatever layers are read.
    """
    if isinstance(stage.work, Adoption):
        return ("adoption", stage.id)
    weights = (vocabulary.weights(stage), vocabulary.reads_some(stage))
    if stage.work.lane == "reference":
        return ("reference", stage.id)  # a library's model holds the adapters of one training
    if isinstance(stage.work, Evaluation):
        texts = _texts(stage.work)
        if stage.method.trains_backbone:
            return ("evaluation", stage.inputs, texts)  # each training has an encoder of its own
        methods: tuple[MethodSpec, ...] = (stage.method,)
        length = None
        if stage.inputs:
            target = plan.stages[stage.inputs[0]]
            methods = (stage.method, *_below(target, plan))
            length = target.work.train.max_length if isinstance(target.work, Training) else None
        lowest = min(method.lowest_layer(stage.info.layers) for method in methods)
        return ("evaluation", weights, texts, length if stage.work.search is None else None, lowest)
    if stage.method.trains_backbone:
        return ("training", stage.id)
    # A cell that draws its heads as it goes has no fixed shape: it would keep its neighbours from batched products.
    several = len(stage.work.tasks) > 1 or kind(stage.work.tasks[0].format).alone
    below = _below(stage, plan)
    way = () if stage.work.transfer is None else stage.work.transfer.bundles_with()
    return ("training", weights, stage.method, below, way, several)


def _texts(work: Evaluation) -> Hashable:
    """Equal for evaluations that can read their texts in one pass, of a search whichever layers it reads.

    Where states below the adapters are rounded, at which layer depends on the layers that are read: each goes alone.
    """
    if work.search is None or work.prefix != "exact":
        return work
    return (replace(work, search=None), work.search.max_length)


def _below(stage: Stage, plan: Plan) -> tuple[MethodSpec, ...]:
    """The methods of the frozen adapters below a training's own."""
    frozen = stage.inputs if isinstance(stage.work, Training) and stage.work.lies_upon_inputs else ()
    return tuple(plan.stages[id].method for id in frozen)


def _batches(stage: Stage) -> Hashable:
    """Equal for trainings that draw the same batches, as those do that differ in what they start from.

    Of evaluations, for those of one cell, whose layers are read together.
    """
    if not isinstance(stage.work, Training):
        return stage.inputs
    work, train = stage.work, stage.work.train
    drawn = (work.sampling, work.batches, work.contrastive, work.text_share, work.seed)
    return (work.tasks, *drawn, train.batch_size, train.limit, train.max_length)


def _together(group: list[Stage], capacity: Capacity) -> int:
    """How many stages of a group fit one bundle, going by the largest of them."""
    limits = [capacity.cells // max(1, *(stage.candidates for stage in group))]
    if isinstance(group[0].work, Training) and capacity.rows is not None:
        limits.append(capacity.rows // max(1, *(stage.cost.rows for stage in group)))
    most = max(1, min(limits))
    if capacity.memory is None:
        return most
    largest = max(group, key=lambda stage: stage.cost.memory_bytes).cost.memory
    return next((count for count in range(most, 1, -1) if largest.of(count).needed <= capacity.memory), 1)


def _cut(group: list[str], limit: int) -> list[tuple[str, ...]]:
    count = -(-len(group) // limit)
    size = -(-len(group) // count)
    return [tuple(group[start : start + size]) for start in range(0, len(group), size)]
