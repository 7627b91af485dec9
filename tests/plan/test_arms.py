"""The arms of a comparison in a plan: what each has, and whether their terms are equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from rich.console import Console

from adapterx.config.problems import SettingError
from adapterx.plan import Plan
from adapterx.plan.arms import Arms, Terms
from adapterx.plan.export import to_json
from adapterx.plan.render import render
from adapterx.plan.states import State
from tests.plan import fakes
from tests.plan.conftest import Planner

ENGLISH = {"tasks": "units", "languages": "en"}
SEVERAL = {"tasks": "units", "languages": ["en", "de"]}
STEPS = {"batch_size": 16, "intermediate": {"steps": 100}}


@dataclass(frozen=True)
class ByMachine:
    """Translations of English."""

    def of(self, language: str) -> str:
        return "written" if language == "en" else "machine"


def planned_with(
    planned: Planner, compare: dict[str, Any] | None, intermediates: dict[str, Any] | None = None, **changes: Any
) -> Plan:
    """Two arms, 320 English examples and twice as many of two languages."""
    given = {
        "backbones": {"base": "e5"},
        "methods": {"lora": {"kind": "lora"}},
        "intermediates": intermediates or {"none": None, "english": ENGLISH, "several": SEVERAL},
        "transfers": ["continue"],
        "targets": ["months"],
        "seeds": [1, 2],
        "train": STEPS,
        "compare": None if compare is None else {"arm": "several", "baseline": "english", **compare},
    }
    return planned(**{**given, **changes})


def test_without_a_comparison_there_are_no_arms(planned: Planner) -> None:
    assert planned_with(planned, None).arms == Arms()


def test_arms_are_told_with_their_terms(planned: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    translated = tuple(replace(one, translated={"embedded": ByMachine()}) for one in fakes.TASKS)
    monkeypatch.setattr(fakes, "TASKS", translated)
    plan = planned_with(planned, {})
    english, several = plan.arms.arms
    assert english.terms == (Terms(320, 100, 16, 1),) and several.terms == (Terms(640, 100, 16, 1),)
    assert english.words == "units in en (written)"
    assert several.words == "units in 2 languages (1 written, 1 machine-translated)"
    assert plan.arms.unequal == ("different training examples: 320 in english, 640 in several",)


@pytest.mark.parametrize(
    ("own", "difference"),
    [
        ({"limit": 160}, None),
        ({"limit": 160, "steps": 200}, "steps: 100 in english, 200 in several"),
        ({"limit": 160, "batch_size": 8}, "examples a step: 16 in english, 8 in several"),
        (
            {"limit": 160, "prune": {"learning_rates": [1e-4, 1e-3]}, "learning_rate": None},
            "learning rates tried: 1 in english, 2 in several",
        ),
    ],
    ids=["equal", "steps", "batch", "tuning"],
)
def test_every_difference_is_told(planned: Planner, own: dict[str, Any], difference: str | None) -> None:
    several = {**SEVERAL, "train": own}
    plan = planned_with(planned, {}, {"none": None, "english": ENGLISH, "several": several})
    assert plan.arms.unequal == (() if difference is None else (difference,))


def test_members_count_together_and_nothing_counts_as_nothing(planned: Planner) -> None:
    both = {"members": ["english", "several"]}
    plan = planned_with(
        planned,
        {"arm": "both", "contrasts": {"whole": {"arm": "both", "baseline": "none"}}},
        {"none": None, "english": ENGLISH, "several": SEVERAL, "both": both},
        transfers=["continue", "merge"],
    )
    told = {arm.name: arm for arm in plan.arms.arms}
    assert list(told) == ["english", "both", "none"]
    assert told["both"].terms == (Terms(960, 200, 16, 1),)
    assert told["none"].terms == () and told["none"].words == "nothing is learnt first, or elsewhere"


def test_text_beside_tasks_is_told(planned: Planner) -> None:
    beside = {**ENGLISH, "with": {"task": "text", "share": 0.2, "languages": "all"}}
    plan = planned_with(planned, {}, {"none": None, "english": ENGLISH, "several": beside})
    assert plan.arms.arms[1].words == "text, units in en (written), text in 20% of the steps"
    assert plan.arms.unequal == ()


def test_a_budget_that_all_keep_is_silent(planned: Planner) -> None:
    halves = {**SEVERAL, "train": {"limit": 160}}
    intermediates = {"none": None, "english": ENGLISH, "several": halves}
    plan = planned_with(planned, {"budget": {"examples": 320, "steps": 100}}, intermediates)
    assert plan.arms.unequal == () and not plan.refused


@pytest.mark.parametrize(
    ("budget", "where", "said"),
    [
        ({"examples": 320}, "examples", "every arm is to have 320 different training examples, and 'several' has 640"),
        ({"steps": 90}, "steps", "every arm is to have 90 steps, and 'english' has 100, 'several' has 100"),
    ],
)
def test_a_budget_that_an_arm_misses_stops_the_plan(
    planned: Planner, budget: dict[str, int], where: str, said: str
) -> None:
    with pytest.raises(SettingError) as error:
        planned_with(planned, {"budget": budget})
    (finding,) = error.value.findings
    assert finding.location == ("compare", "budget", where) and finding.message == said


def test_what_is_not_known_is_not_held_against_an_arm(planned: Planner) -> None:
    unknown = {"tasks": "units", "languages": ["fi"], "source": "local"}
    intermediates = {"none": None, "english": ENGLISH, "several": unknown}
    plan = planned_with(planned, {"budget": {"examples": 320}}, intermediates)
    assert plan.arms.arms[1].terms == (Terms(None, 100, 16, 1),) and plan.arms.unequal == ()


def test_people_and_programs_read_them(planned: Planner) -> None:
    plan = planned_with(planned, {})
    current = {id: State("to-train") for id in plan.stages}
    console = Console(width=200)
    with console.capture() as captured:
        console.print(render(plan, current))
    text = captured.get()
    assert "arm: english: units in en (written); 320 examples, 100 steps of 16" in text
    assert "unequal arms: different training examples: 320 in english, 640 in several" in text
    told: Any = to_json(plan, current)
    assert [arm["name"] for arm in told["arms"]] == ["english", "several"] and len(told["unequal"]) == 1
