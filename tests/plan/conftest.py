"""Plans of a small recipe over the fake catalog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx.plan import CellStages, Evaluation, Plan, Stage, Training, build
from adapterx.recipe import Recipe
from tests.plan.fakes import FakeBackbones, FakeTasks
from tests.support.present import present

Planner = Callable[..., Plan]


def recipe(**changes: object) -> Recipe:
    """Two backbones, two methods, three intermediates, two transfers, two targets, two seeds; less what is changed."""
    settings: dict[str, object] = {
        "adapterx": 1,
        "name": "gap",
        "backbones": {"small": "e5@6", "base": "e5"},
        "methods": {"lora": {"kind": "lora"}, "pfeiffer": {"kind": "bottleneck"}},
        "intermediates": {
            "none": None,
            "en": {"tasks": ["units"]},
            "multi": {"tasks": ["units", "numbers"], "languages": "all"},
        },
        "transfers": ["continue", "stack"],
        "targets": ["months", "numbers"],
        "seeds": [1, 2],
        **changes,
    }
    return Recipe.model_validate({key: value for key, value in settings.items() if value is not ...})


def training(stage: Stage) -> Training:
    """What a stage trains; the test fails where it evaluates."""
    assert isinstance(stage.work, Training)
    return stage.work


def evaluation(stage: Stage) -> Evaluation:
    """What a stage evaluates; the test fails where it trains."""
    assert isinstance(stage.work, Evaluation)
    return stage.work


def target_stage(plan: Plan, stages: CellStages) -> Stage:
    """The stage of a cell that trains for its target."""
    return plan.stages[present(stages.target)]


@pytest.fixture
def tasks() -> FakeTasks:
    return FakeTasks()


@pytest.fixture
def backbones() -> FakeBackbones:
    return FakeBackbones()


@pytest.fixture
def planned(tasks: FakeTasks, backbones: FakeBackbones) -> Planner:
    """Plan the small recipe with changes."""

    def planner(**changes: object) -> Plan:
        return build(recipe(**changes), Path("recipes"), backbones, tasks)

    return planner
