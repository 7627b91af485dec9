"""Hours on a GPU that is supposed, and what a loop over the cells would take there."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adapterx.backbones.info import BackboneInfo
from adapterx.methods.lora.spec import Lora
from adapterx.plan import Capacity, Plan, Training, build, states
from adapterx.plan.cards import CARDS, CardPace
from adapterx.plan.cost import PredictedBy
from adapterx.plan.counted import training
from adapterx.plan.export import to_json
from adapterx.plan.render import render
from adapterx.plan.schedule import looped_seconds
from adapterx.recipe import Sampling
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings
from tests.plan.conftest import recipe
from tests.plan.fakes import FakeBackbones, FakeTasks
from tests.support.present import present

H100 = CardPace(card=CARDS["h100"])
LENGTH = 40
SIZES = {
    "base": BackboneInfo("base", "xlm-roberta", 768, 12, 12, 3072, 250002, 512),
    "large": BackboneInfo("large", "xlm-roberta", 1024, 24, 16, 4096, 250002, 512),
    "xl": BackboneInfo("xl", "xlm-roberta-xl", 2560, 36, 32, 10240, 250880, 512),
    "xxl": BackboneInfo("xxl", "xlm-roberta-xl", 4096, 48, 32, 16384, 250880, 512),
}


def planned(pace: CardPace = H100, **changes: object) -> Plan:
    grid: dict[str, object] = {
        "backbones": {"small": "e5@6"},
        "methods": {"lora": {"kind": "lora"}},
        "intermediates": {"none": None, "en": {"tasks": ["units"]}},
        "transfers": ["continue"],
        "targets": ["numbers", "units"],
        "seeds": [1],
    }
    return build(recipe(**{**grid, **changes}), Path("recipes"), FakeBackbones(), FakeTasks(), known=PredictedBy(pace))


@pytest.mark.parametrize(
    ("size", "cells", "milliseconds"),
    [("base", 16, 2.12), ("base", 1, 4.15), ("large", 16, 6.2), ("xl", 8, 38.0), ("xxl", 6, 105.0)],
)
def test_steps_take_what_the_model_of_their_kernels_says(size: str, cells: int, milliseconds: float) -> None:
    part = TaskPart("t", "pair-classification", ("a", "b", "c"), "embedded", ("en",), "x", LENGTH)
    settings = TrainSettings(1e-3, 32, steps=1, max_length=128)
    counted = present(
        training(SIZES[size], Lora(), Training((part,), Sampling(), settings, 1, None), None, (), 0, False)
    )
    shared, alone = (H100.seconds("bfloat16", work) for work in (counted.shared, counted.alone))
    assert 1e3 * (shared / cells + alone - shared) == pytest.approx(milliseconds, rel=0.12)


def test_every_card_is_slower_in_float32_and_faster_with_more_of_everything() -> None:
    def hours(card: str, load: str) -> float:
        plan = planned(CardPace(card=CARDS[card]), backbones={"small": {"model": "e5@6", "load": load}})
        return looped_seconds(plan)

    for name in CARDS:
        assert hours(name, "bfloat16") < hours(name, "float32")
        assert hours(name, "int8-rows") == hours(name, "bfloat16")
    assert hours("h200", "bfloat16") < hours("h100", "bfloat16") < hours("a100-80", "bfloat16")
    assert hours("a100-80", "bfloat16") < hours("l4", "bfloat16")


def test_a_loop_trains_the_intermediate_of_every_cell_again() -> None:
    plan = planned()
    seconds = {stage.kind: 0.0 for stage in plan.stages.values()}
    for stage in plan.stages.values():
        seconds[stage.kind] += present(stage.cost.seconds)
    assert plan.naive_trainings == 6  # two targets alone, and two behind an intermediate each
    assert looped_seconds(plan) == pytest.approx(sum(seconds.values()) + seconds["intermediate"])


def test_a_plan_says_what_it_supposes() -> None:
    plan = planned()
    buffer = StringIO()
    current = states(plan, None)
    Console(file=buffer, width=200, color_system=None).print(render(plan, current, capacity=Capacity()))
    text = " ".join(buffer.getvalue().split())
    assert "GPU-hours one after another" in text
    assert "predicted for one H100 80 GB, supposing 66% of its 67 TFLOP/s in float32 for products" in text
    assert "A loop over all cells, which shares nothing, would take" in text
    data: Any = to_json(plan, current)
    assert data["gpu"] == "H100 80 GB"
    assert data["looped_seconds"] == pytest.approx(looped_seconds(plan))


def test_auto_is_settled_for_the_card() -> None:
    def told(pace: CardPace) -> str:
        return planned(pace, backbones={"small": {"model": "e5@6", "load": "auto"}}).choices[0]

    assert told(H100) == "small is loaded in bfloat16: the GPU multiplies it"
