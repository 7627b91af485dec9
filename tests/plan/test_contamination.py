"""What follows for cells from what training and test data have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.plan import Plan, build, states
from adapterx.plan.export import to_json
from adapterx.tasks.facts import Relation, TaskPart
from tests.plan.conftest import Planner, recipe
from tests.plan.fakes import FakeBackbones, FakeTasks
from tests.plan.test_render import shown

LEAK = "training on 'numbers' leaks into the test set of 'months'"
REMARK = "3 test items of 'numbers' are also training items of 'units'"


def compare(used: TaskPart, scored: TaskPart, split: str) -> Relation:
    """Numbers leak into months; units are another data set of what numbers asks, and share little with it."""
    if (used.task, scored.task) == ("numbers", "months"):
        return Relation(leak=LEAK)
    if (used.task, scored.task) == ("units", "numbers"):
        return Relation(remarks=(REMARK,), same_task=True)
    return Relation(same_task=used.task == scored.task)


@pytest.fixture
def plan() -> Plan:
    return build(recipe(), Path("recipes"), FakeBackbones(), FakeTasks(), compare=compare)


def test_cells_that_leak_are_refused_whatever_stage_does(plan: Plan) -> None:
    assert set(plan.refused.values()) == {LEAK}
    assert {(cell.intermediate, cell.target) for cell in plan.refused} == {("multi", "months")}


def test_target_training_is_known_and_told(plan: Plan, planned: Planner) -> None:
    pairs = {(cell.intermediate, cell.target) for cell in plan.target_training}
    assert pairs == {("en", "numbers"), ("multi", "numbers")}
    text = " ".join(shown(plan).split())
    assert "target training: en → numbers, multi → numbers: the intermediate learns" in text
    assert f"shared items: {REMARK}" in text
    assert to_json(plan, states(plan, None))["remarks"] == [REMARK]
    # Without a comparison, what stages are is the same.
    assert {stage.id for stage in plan.stages.values()} <= set(planned().stages)


def test_learning_what_the_target_trains_on_is_target_training() -> None:
    targets = {"large": {"task": "units-large", "train_task": "units"}, "months": {"task": "months"}}
    plan = build(recipe(targets=targets), Path("recipes"), FakeBackbones(), FakeTasks())
    assert {(one.intermediate, one.target) for one in plan.target_training} == {("en", "large"), ("multi", "large")}
