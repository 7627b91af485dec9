"""The time of bundles beside that of stages one after another."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adapterx.pace.calibration import Calibration, MeasuredOn, Pace
from adapterx.pace.workload import Rates
from adapterx.plan import Capacity, Plan, build, states
from adapterx.plan.cost import PredictedBy
from adapterx.plan.export import to_json
from adapterx.plan.render import render
from adapterx.plan.schedule import bundled_seconds, looped_seconds, unsized
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks

MEASURED = Pace(
    Calibration(
        measured_on=MeasuredOn(device="cpu", processor="x", instructions=(), threads=1, torch="2"),
        measured=date(2026, 11, 29),
        rates={"float32": Rates(calls=1e-3, products=1e-11)},
        points=(),
    )
)
ONE: dict[str, object] = {
    "backbones": {"small": "e5@6"},
    "methods": {"lora": {"kind": "lora"}},
    "intermediates": {"none": None},
    "targets": ["units"],
    "seeds": [1, 2, 3, 4],
}


def planned(**changes: object) -> Plan:
    return build(
        recipe(**{**ONE, **changes}), Path("recipes"), FakeBackbones(), FakeTasks(), known=PredictedBy(MEASURED)
    )


def seconds(plan: Plan, capacity: Capacity) -> float:
    found = bundled_seconds(plan, plan.stages, capacity)
    assert found is not None
    return found


def test_what_cells_share_counts_once_a_bundle() -> None:
    plan = planned()
    costs = [stage.cost for stage in plan.stages.values()]
    alone = sum(cost.seconds or 0.0 for cost in costs)
    assert seconds(plan, Capacity(cells=1)) == pytest.approx(alone)
    shared = sum(cost.shared_seconds for cost in costs)
    assert 0 < shared < alone
    assert seconds(plan, Capacity(cells=4)) == pytest.approx(alone - 3 / 4 * shared)
    assert seconds(plan, Capacity(cells=2)) == pytest.approx(alone - 1 / 2 * shared)


def test_targets_wait_for_their_intermediates_and_what_is_stored_takes_no_time() -> None:
    plan = planned(intermediates={"en": {"tasks": ["units"]}}, transfers=["continue"], targets=["numbers"])
    whole = seconds(plan, Capacity())
    targets = [id for id, stage in plan.stages.items() if stage.kind != "intermediate"]
    left = bundled_seconds(plan, targets, Capacity())
    assert left is not None and 0 < left < whole
    assert bundled_seconds(plan, [], Capacity()) == 0.0


def test_stages_of_unknown_size_are_left_out_and_counted() -> None:
    plan = planned(targets={"u": {"task": "units", "source": "local"}, "numbers": {"task": "numbers"}})
    alone = sum(stage.cost.seconds or 0.0 for stage in plan.stages.values())
    assert unsized(plan, plan.stages) == 4
    assert bundled_seconds(plan, plan.stages, Capacity(cells=1)) == pytest.approx(alone)
    assert looped_seconds(plan) == pytest.approx(alone)
    assert "Not counted: 4 stages whose data" in rendered(plan)
    data: Any = to_json(plan, states(plan, None), Capacity())
    assert data["bundled_seconds"] is data["looped_seconds"] is None


def rendered(plan: Plan) -> str:
    buffer = StringIO()
    shown = render(plan, states(plan, None), capacity=Capacity(cells=4))
    Console(file=buffer, width=200, color_system=None).print(shown)
    return " ".join(buffer.getvalue().split())


def test_the_calibration_is_named_in_the_plan_and_in_json() -> None:
    plan = planned()
    text = rendered(plan)
    assert "one after another" in text and "in bundles, by the calibration of 2026-11-29;" in text
    data: Any = to_json(plan, states(plan, None), Capacity(cells=4))
    assert data["calibration"] == "2026-11-29"
    assert data["bundled_seconds"] == pytest.approx(seconds(plan, Capacity(cells=4)))
