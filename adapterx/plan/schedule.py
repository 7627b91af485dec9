"""How long a plan takes as its bundles run it, beside the sum of its stages one after another."""

from __future__ import annotations

from collections.abc import Iterable

from adapterx.plan.bundles import Capacity, bundles, ready
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage


def unsized(plan: Plan, stages: Iterable[str]) -> int:
    """How many of some stages read data of unknown size, so that their time is not known."""
    return sum(plan.stages[id].cost.seconds is None for id in stages)


def bundled_seconds(plan: Plan, todo: Iterable[str], capacity: Capacity) -> float | None:
    """Seconds of some stages in their bundles; None where one waits for a stage that is not among them.

    Stages whose time is not known are left out (`unsized` counts them). The cells of a bundle take what they share
    once. What no two bundles share, and waiting for one another, is not counted; neither is loading backbones.

    Args:
        todo: ids of the stages that are not stored.
    """
    left = dict.fromkeys(todo)
    stored, total = set(plan.stages) - left.keys(), 0.0
    while left:
        # All that are ready at once, as a run's order puts the trainings of a backbone before what needs them.
        wave = [id for id in ready(plan, stored) if id in left]
        if not wave:
            return None  # blocked by stages that are not to be done
        for group in bundles(plan, wave, capacity):
            total += _of_bundle([plan.stages[id] for id in group])
        stored |= set(wave)
        for id in wave:
            del left[id]
    return total


def looped_seconds(plan: Plan) -> float:
    """Seconds of a loop over the cells that shares nothing, stages whose time is not known left out."""
    stages = (
        id
        for cell in plan.cell_stages.values()
        for id in (cell.intermediate, *cell.members, cell.target, cell.evaluation)
        if id is not None
    )
    return sum(plan.stages[id].cost.seconds or 0.0 for id in stages)


def _of_bundle(stages: list[Stage]) -> float:
    known = [stage.cost for stage in stages if stage.cost.seconds is not None]
    shared = max((cost.shared_seconds for cost in known), default=0.0)
    return shared + sum((cost.seconds or 0.0) - cost.shared_seconds for cost in known)
