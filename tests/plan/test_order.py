"""The bundles of several devices are those of one."""

from __future__ import annotations

from collections.abc import Collection

from adapterx.plan import Capacity, Plan, Stage, build, bundles, ready
from adapterx.plan.order import following, order
from adapterx.recipe import Recipe
from tests.plan.fakes import FakeBackbones, FakeTasks


def planned() -> Plan:
    recipe = {
        "adapterx": 1,
        "name": "order",
        "backbones": {"small": "e5@6", "base": "e5@12"},
        "methods": {"lora": {"kind": "lora"}},
        "intermediates": {"none": None, "en": {"tasks": "months"}},
        "targets": ["months"],
        "seeds": [1, 2, 3],
    }
    return build(Recipe.model_validate(recipe), None, FakeBackbones(), FakeTasks())


def by_one_device(plan: Plan, capacity: Capacity, given_up: Collection[str] = ()) -> list[list[str]]:
    """As the loop of a run goes: what is ready is bundled anew after each bundle."""
    stored: set[str] = set()
    held: object = None
    found: list[list[str]] = []
    while True:
        groups = [[plan.stages[id] for id in group] for group in bundles(plan, ready(plan, stored, given_up), capacity)]
        bundle = next((group for group in groups if name(group[0]) == held), groups[0] if groups else [])
        if not bundle:
            return found
        found.append([stage.id for stage in bundle])
        stored.update(found[-1])
        held = name(bundle[0])


def name(stage: Stage) -> object:
    return stage.backbone


def test_the_order_is_that_of_one_device() -> None:
    plan = planned()
    for cells in (1, 2, 16):
        capacity = Capacity(cells=cells)
        found = [[stage.id for stage in bundle] for bundle in order(plan, (), (), capacity, name)]
        assert found == by_one_device(plan, capacity)
        assert sorted(id for bundle in found for id in bundle) == sorted(plan.stages)


def test_what_is_stored_or_given_up_is_left_out() -> None:
    plan = planned()
    first, *_ = order(plan, (), (), Capacity(), name)
    stored = {stage.id for stage in first}
    left = [stage.id for bundle in order(plan, stored, (), Capacity(), name) for stage in bundle]
    assert sorted(left) == sorted(plan.stages.keys() - stored)
    without = {stage.id for bundle in order(plan, (), stored, Capacity(), name) for stage in bundle}
    assert not without & stored
    assert all(plan.stages[id].inputs == () or not set(plan.stages[id].inputs) & stored for id in without)


def test_a_bundle_of_what_is_in_memory_comes_first() -> None:
    plan = planned()
    groups = [[stage] for stage in plan.stages.values()]
    other = next(group for group in groups if name(group[0]) != name(groups[0][0]))
    assert following(groups, name, name(other[0])) == other
    assert following(groups, name, None) == groups[0]
    assert following([], name, None) == []
