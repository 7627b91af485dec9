from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adapterx.plan import Plan, states
from adapterx.plan.export import to_json
from adapterx.plan.render import duration, render
from adapterx.store import Store
from adapterx.wording import size
from tests.plan.conftest import Planner
from tests.plan.test_states import ONE, commit, stage


def shown(plan: Plan, store: Store | None = None, every: bool = False, width: int = 100) -> str:
    buffer = StringIO()
    console = Console(file=buffer, width=width, color_system=None)
    console.print(render(plan, states(plan, store), every))
    return buffer.getvalue()


def test_a_short_plan_lists_every_stage(planned: Planner) -> None:
    text = shown(planned(seeds=[1], backbones={"small": "e5@6"}, methods={"lora": {"kind": "lora"}}))
    assert text.startswith("gap: 10 cells → 12 trainings (2 intermediate, 10 target) and 10 evaluations")
    assert "a loop over the cells would train 18 times" in " ".join(text.split())
    assert "small.lora.multi.stack.numbers.seed1 to evaluate" in " ".join(text.split())
    assert "at 100 GFLOP/s" in text
    assert "--all" not in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_a_long_plan_is_grouped_unless_all_is_asked(planned: Planner) -> None:
    plan = planned(seeds=list(range(25)))
    text = shown(plan)
    assert len(text.splitlines()) < 80
    assert "small.lora.multi.stack 50 to train" in " ".join(text.split())
    assert "--all lists every stage" in text
    assert "small.lora.multi.stack.numbers.seed24" in shown(plan, every=True)


@pytest.mark.parametrize("width", [60, 70, 80, 100, 137, 200])
def test_every_stage_is_named_whole_at_any_width(width: int, planned: Planner) -> None:
    long = {"multilingual-of-very-many-languages": {"tasks": ["units"], "languages": "all"}, "none": None}
    for plan in (planned(seeds=[1]), planned(intermediates=long, seeds=[1, 2])):
        text = shown(plan, every=True, width=width)
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
        assert "…" not in text
        if width < 80:
            together = "".join(text.split())
            assert all(one.label in together for one in plan.stages.values())


def test_a_finished_recipe_says_so(planned: Planner, tmp_path: Path) -> None:
    plan, store = planned(**ONE), Store(tmp_path)
    for one in plan.stages.values():
        commit(store, one)
    text = shown(plan, store)
    assert "Everything is stored: running this recipe trains nothing." in text
    assert "To do" not in text


def test_reasons_are_told_once_with_their_count(planned: Planner, tmp_path: Path) -> None:
    store = Store(tmp_path)
    commit(store, stage(planned(**ONE), "target"))
    targets = {"months": "months", "wrong": {"task": "units", "languages": ["xx"]}}
    text = " ".join(
        shown(planned(**{**ONE, "seeds": [1, 2], "targets": targets, "train": {"steps": 3}}), store).split()
    )
    assert "stale target: small.lora.multi.continue.months.seed1: train.steps: — → 3; train.epochs: 3 → —;" in text
    assert (
        "refused: 2 of them (small.lora.multi.continue.wrong.seed1, …): the task 'units' has no language 'xx'" in text
    )


def test_candidates_are_told_with_their_cost(planned: Planner) -> None:
    prune = {"learning_rates": [1e-4, 1e-3, 1e-2], "rungs": [0.5], "keep": 0.3}
    plan = planned(**{**ONE, "train": {"target": {"prune": prune}}})
    text = " ".join(shown(plan).split())
    assert "small.lora.multi.seed1 to train " in text
    assert "small.lora.multi.continue.months.seed1 to train, 3 rates " in text
    assert (
        "prune: target small.lora.multi.continue.months.seed1: 3 learning rates each (0.0001, 0.001, 0.01),"
        " 2 times the steps of one, chosen on dev data of the training languages" in text
    )
    data: Any = to_json(plan, states(plan, None))
    assert [one["candidates"] for one in data["stages"]] == [1, 3, 0]


def test_json_holds_cells_stages_and_refusals(planned: Planner) -> None:
    plan = planned(**{**ONE, "targets": {"months": "months", "wrong": {"task": "units", "languages": ["xx"]}}})
    data = json.loads(json.dumps(to_json(plan, states(plan, None))))
    good, wrong = data["cells"]
    by_id = {one["id"]: one for one in data["stages"]}
    assert by_id[good["stages"]["evaluation"]]["inputs"] == [good["stages"]["target"]]
    assert by_id[good["stages"]["target"]]["state"] == "to-train"
    assert by_id[good["stages"]["target"]]["cost"]["trainable_parameters"] > 0
    assert wrong["stages"] is None
    assert "has no language 'xx'" in wrong["refused"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.04, "0.0 s"), (42, "42 s"), (240, "4.0 min"), (2 * 3600, "2.0 h"), (86400 * 3, "3.0 days")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_700, "1.0 MB"), (1.2e9, "1.2 GB"), (5e12, "5.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text
