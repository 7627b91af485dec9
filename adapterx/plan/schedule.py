"""How long a plan takes as its bundles run it, beside the sum of its stages one after another."""

from __future__ import annotations

from collections.abc import Iterable

from adapterx.plan.bundles import Capacity, bundles, ready
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage


def bundled_seconds(plan: Plan, todo: Iterable[str], capacity: Capacity) -> float | None:
    """Seconds of some stages in their bundles; None where the time of one is not known.

    The cells of a bundle take what they share once. What no two bundles share, and waiting for one another, is not
    counted; neither is loading backbones.

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
            seconds = _of_bundle([plan.stages[id] for id in group])
            if seconds is None:
                return None
            total += seconds
        stored |= set(wave)
        for id in wave:
            del left[id]
    return total


def _of_bundle(stages: list[Stage]) -> float | None:
    shared = max(stage.cost.shared_seconds for stage in stages)
    own = 0.0
    for stage in stages:
        if stage.cost.seconds is None:
            return None
        own += stage.cost.seconds - stage.cost.shared_seconds
    return shared + own
