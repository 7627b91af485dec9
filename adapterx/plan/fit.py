"""What fits into the memory of a machine: in how many parts a batch is computed, and what is refused, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapterx.plan.bundles import Capacity, bundles, ready
from adapterx.plan.memory import PeakMemory, StageMemory
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage

TOLERANCE = 1.15
"""What a prediction may exceed the memory by before something is refused: so much may be wrong with it."""


def parts(memory: StageMemory, cells: int, room: int | None) -> int:
    """Into how many parts a bundle cuts its batches so that it fits, in powers of two: at most one example a part."""
    found = 1
    finest = memory.batch / memory.trainings
    while room is not None and found < finest and memory.of(cells, found).needed > room:
        found *= 2
    return found


def refusal(memory: StageMemory, room: int, what: str, where: str = "this machine has") -> str:
    """Why a stage cannot be done alone, as a sentence with the arithmetic; empty where it can.

    Args:
        room: bytes there are.
        what: the stage.
        where: the end of the sentence, before the bytes there are.
    """
    finest = int(max(1, memory.batch / memory.trainings))
    least = memory.of(1, finest)
    if least.needed <= TOLERANCE * room:
        return ""
    even = ", with one example at a time" if finest > 1 else ""
    return f"{what} takes {least.told()}{even}, and {where} {room / 1e9:.1f} GB"


def largest(stages: Sequence[Stage]) -> StageMemory:
    """Of the stage of a bundle that takes the most."""
    return max(stages, key=lambda stage: stage.cost.memory_bytes).cost.memory


def peak(plan: Plan, todo: Iterable[str], capacity: Capacity) -> PeakMemory | None:
    """The memory of the bundle that takes the most; None where there is nothing to do.

    Args:
        todo: ids of the stages that are not stored.
    """
    left = dict.fromkeys(todo)
    stored, found = set(plan.stages) - left.keys(), list[PeakMemory]()
    while wave := [id for id in ready(plan, stored) if id in left]:
        for group in bundles(plan, wave, capacity):
            memory = largest([plan.stages[id] for id in group])
            found.append(memory.of(len(group), parts(memory, len(group), capacity.memory)))
        stored |= set(wave)
        for id in wave:
            del left[id]
    return max(found, key=lambda one: one.bytes, default=None)
