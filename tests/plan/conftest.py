"""Plans of a small recipe over the fake catalog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapterx.plan import Plan, build
from adapterx.recipe import Recipe
from tests.plan.fakes import FakeBackbones, FakeTasks

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
