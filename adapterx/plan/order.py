"""The bundles of a run in the order in which one device does them, for several devices to do the same ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from adapterx.plan.adoption import Adoption
from adapterx.plan.bundles import Capacity, bundles, ready
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage

InMemory = Callable[[Stage], object]
"""The backbone that a stage needs in memory, equal for those that can share it."""


def following(groups: list[list[Stage]], backbone: InMemory, held: object) -> list[Stage]:
    """The bundle to do next: one of what is held in memory if there is one, else the first; empty without any."""
    return next((group for group in groups if backbone(group[0]) == held), groups[0] if groups else [])


def order(
    plan: Plan,
    stored: Collection[str],
    given_up: Collection[str],
    capacity: Capacity,
    backbone: InMemory,
    held: object = None,
) -> Iterator[list[Stage]]:
    """Bundle after bundle as one device would do them, as long as every stage succeeds.

    What is computed together decides the last bits of a result, so devices that share a run do these bundles and no
    others.

    Args:
        stored: ids of stages that have results.
        given_up: ids of those that are not to be tried.
        held: what the device has in memory at first.
    """
    done = set(stored)
    while True:
        open_ = ready(plan, done, given_up)
        groups = [[plan.stages[id] for id in group] for group in bundles(plan, open_, capacity)]
        bundle = following(groups, backbone, held)
        if not bundle:
            return
        yield bundle
        done.update(stage.id for stage in bundle)
        if not isinstance(bundle[0].work, Adoption):  # which reads files alone
            held = backbone(bundle[0])
