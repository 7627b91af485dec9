"""Which stages go together in one pass over one frozen backbone."""

from __future__ import annotations

from collections.abc import Collection, Hashable

from adapterx.plan.graph import Plan
from adapterx.plan.stage import Stage, Training

DEFAULT_LIMIT = 16
"""Trainings per bundle."""


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


def bundles(plan: Plan, stages: Collection[str], limit: int = DEFAULT_LIMIT) -> list[tuple[str, ...]]:
    """Group stages that can share a pass, at most `limit` trainings together, in the order of the plan.

    A group that does not fit one bundle is cut into bundles of nearly equal size. The candidates of one stage stay
    together, however many they are: a rung decides among all of them.
    """
    groups: dict[Hashable, list[str]] = {}
    for id, stage in plan.stages.items():
        if id in stages:
            groups.setdefault(structure(stage, plan), []).append(id)
    cut = []
    for group in groups.values():
        largest = max(1, *(plan.stages[id].candidates for id in group))
        cut += _cut(group, max(1, limit // largest))
    return cut


def structure(stage: Stage, plan: Plan) -> Hashable:
    """Equal for stages that one forward pass can serve: the same frozen weights, method and number of adapters."""
    return (stage.kind, stage.info.key, stage.backbone.load, stage.method, _stacked(stage, plan))


def _stacked(stage: Stage, plan: Plan) -> bool:
    """Whether a frozen adapter lies below: for an evaluation, in the target it evaluates."""
    trained = stage.work if isinstance(stage.work, Training) else plan.stages[stage.inputs[0]].work
    return isinstance(trained, Training) and trained.transfer == "stack"


def _cut(group: list[str], limit: int) -> list[tuple[str, ...]]:
    count = -(-len(group) // limit)
    size = -(-len(group) // count)
    return [tuple(group[start : start + size]) for start in range(0, len(group), size)]
