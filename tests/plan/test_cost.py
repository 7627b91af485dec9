"""Parameter counts against those of hand and of the methods room; estimates by how they must move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.shape import Shape
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.head import Head
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import parameters
from adapterx.methods.probe.spec import Probe
from adapterx.plan import Training
from adapterx.plan.cost import head_parameters, training
from adapterx.recipe import Sampling
from adapterx.tasks.facts import TaskPart
from adapterx.train_settings import TrainSettings
from tests.plan.conftest import Planner

BASE = BackboneInfo("base", "xlm-roberta", 768, 12, 12, 3072, 250002, 512)


def part(format: str, labels: int) -> TaskPart:
    return TaskPart("t", format, tuple(str(n) for n in range(labels)), "embedded", ("en",), "x", 32)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (Lora(), 294_912),  # `peft` prints 294,912 for r=8 on query and value of a base-sized encoder
        (Lora(rank=1, target_modules=("intermediate", "output")), 12 * 2 * (768 + 3072)),
        (Lora(rank=4, target_modules=("query", "key", "value", "attention_output")), 12 * 4 * 4 * 2 * 768),
        (Bottleneck(), 894_528),  # `adapters` reports 894,528 for seq_bn on a base-sized encoder
        (Bottleneck(placement="double"), 2 * 894_528),
        (Bottleneck(placement="parallel"), 12 * (2 * 768 * 384 + 384 + 768)),
        (Bottleneck(width=48), 894_528),
        (Bottleneck(invertible="nice"), 894_528 + 2 * (192 * 384 + 192 + 384 * 192 + 384)),
        (Probe(), 0),
        (Bottleneck(reduction_factor=10_000), 12 * (2 * 768 + 1 + 768)),
    ],
)
def test_adapters(method: MethodSpec, parameters: int) -> None:
    assert method.parameters(BASE) == parameters


@pytest.mark.parametrize(
    ("format", "labels", "parameters"),
    [
        ("pair-classification", 3, 768 * 768 + 768 + 768 * 3 + 3),
        ("multiple-choice", 4, 768 * 768 + 768 + 768 + 1),
        ("tagging", 7, 768 * 7 + 7),
        ("extractive-qa", 0, 2 * 768 + 2),
        ("masked-lm", 0, 768 * 768 + 3 * 768 + 250_002),
    ],
)
def test_heads(format: str, labels: int, parameters: int) -> None:
    assert head_parameters(part(format, labels), BASE) == parameters


def test_the_engine_trains_what_the_plan_counts() -> None:
    shape = Shape(layers=BASE.layers, hidden=BASE.hidden, intermediate=BASE.intermediate)
    for method in (
        Lora(rank=3, target_modules=("query", "output")),
        Bottleneck(placement="double", reduction_factor=7),
        Lora(layers="top-4"),
        Bottleneck(layers=(0, 5)),
        Bottleneck(invertible="nice"),
    ):
        counted = sum(p.numel for p in parameters(method, shape))
        assert counted == method.parameters(BASE)
    none = (("extractive-qa", 0), ("masked-lm", 0))
    for format, labels in (("pair-classification", 3), ("tagging", 9), ("multiple-choice", 2), *none):
        head = Head("t", format, labels or BASE.vocabulary)
        assert sum(p.numel for p in head.parameters(BASE.hidden)) == head_parameters(part(format, labels), BASE)


def test_estimates_move_with_the_work(planned: Planner) -> None:
    def target(**changes: object) -> tuple[float, int, int]:
        settings: dict[str, object] = {"backbones": {"b": "e5@6"}, "methods": {"l": {"kind": "lora"}}, "seeds": [1]}
        plan = planned(**{**settings, "intermediates": {"none": None}, "targets": ["units"], **changes})
        (stage,) = [stage for stage in plan.stages.values() if isinstance(stage.work, Training)]
        assert stage.cost.seconds is not None
        # Of many cells: of one, building the tokenizer takes the most.
        return stage.cost.seconds, stage.cost.memory.of(16).needed, stage.cost.disk_bytes

    plain = target()
    assert target(train={"epochs": 6})[0] == pytest.approx(2 * plain[0])
    assert target(train={"steps": 30})[0] == pytest.approx(plain[0])
    assert target(train={"limit": 160})[0] == pytest.approx(plain[0] / 2)
    # Twice the layers, of which the last one computes little but keys and values.
    assert 2 * plain[0] < target(backbones={"b": "e5@12"})[0] < 2.4 * plain[0]
    assert target(train={"batch_size": 64})[1] > plain[1]
    eight, sixteen = (target(backbones={"b": {"model": "e5@6", "load": load}})[1] for load in ("int8-rows", "float16"))
    assert eight < sixteen
    assert target(methods={"l": {"kind": "lora", "rank": 64}})[2] > plain[2]
    pruned = target(train={"prune": {"learning_rates": [1e-4, 1e-3, 1e-2]}})
    assert pruned[0] == pytest.approx((3 * 0.25 + 2 * 0.25 + 0.5) * plain[0])
    assert plain[1] < pruned[1] < 3 * plain[1]
    assert pruned[2] == plain[2]
    # Nothing is differentiated, or kept for it, below the lowest adapter; what is computed below is counted, once for
    # each example where it is kept.
    methods = {"l": {"kind": "lora", "layers": "top-2"}}
    top, kept = target(methods=methods, prefix_cache={"where": "none"}), target(methods=methods)
    assert kept[0] < plain[0] / 2 < top[0] < plain[0] * 3 / 4
    assert top[1] < plain[1] and top[2] < plain[2]
    low = target(methods={"l": {"kind": "lora", "layers": [0]}})
    assert top[0] < low[0] < plain[0] and low[2] < top[2]


def test_unknown_sizes_give_no_time(planned: Planner) -> None:
    settings: dict[str, object] = {
        "intermediates": {"none": None},
        "targets": {"u": {"task": "units", "source": "local"}},
    }
    plan = planned(**settings)
    evaluations = [stage for stage in plan.stages.values() if stage.kind == "evaluation"]
    assert {stage.cost.seconds for stage in evaluations} == {None}
    limited = planned(**settings, evaluate={"limit": 10})
    assert all(stage.cost.seconds for stage in limited.stages.values())


def test_long_passages_take_several_windows() -> None:
    def rows(max_length: int) -> int:
        settings = TrainSettings(1e-3, 32, None, 10, 0.1, 0.0, 1.0, max_length, None, None, None)
        work = Training((replace(part("extractive-qa", 0), tokens=300),), Sampling(), settings, 1, None)
        return training(Backbone(model="m"), BASE, Lora(), work, None).rows

    assert rows(384) == 32 * 300
    assert rows(150) == 32 * 150 * 4  # a new one begins every 50 tokens
