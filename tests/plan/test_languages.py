"""Adapters of languages: each trained once, below the target's in its training language, swapped at evaluation."""

from __future__ import annotations

import pytest

from adapterx.config.problems import SettingError
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.plan import Cell, Plan, Stage, Training, bundles
from adapterx.transfers.merge import Merge
from tests.plan.conftest import Planner, evaluation, target_stage, training

BELOW = {"kind": "bottleneck", "invertible": "nice", "width": 24}
LANGUAGES = {"tasks": "text", "per_language": True, "method": BELOW}


def madx(planned: Planner, learnt: dict[str, object] | None = None, **changes: object) -> Plan:
    settings: dict[str, object] = {
        "backbones": {"small": "e5@6"},
        "methods": {"task": {"kind": "bottleneck"}, "wide": {"kind": "bottleneck", "width": 48}},
        "intermediates": {"none": None, "languages": {**LANGUAGES, "languages": "all", **(learnt or {})}},
        "transfers": ["stack"],
        "targets": {"months": {"task": "months", "languages": ["en", "fi"]}},
        "seeds": [1],
    }
    return planned(**{**settings, **changes})


def test_only_the_languages_that_are_read_are_trained_and_each_once(planned: Planner) -> None:
    plan = madx(planned)
    own = [stage for stage in plan.stages.values() if stage.kind == "intermediate"]
    assert [stage.label for stage in own] == [
        "small.bottleneck.languages.en.seed1",
        "small.bottleneck.languages.fi.seed1",
    ]
    assert [training(stage).tasks[0].languages for stage in own] == [("en",), ("fi",)]
    for method in (stage.method for stage in own):
        assert isinstance(method, Bottleneck) and method.invertible == "nice" and method.width == 24
    english, finnish = (stage.id for stage in own)
    stacked = [stages for cell, stages in plan.cell_stages.items() if cell.transfer == "stack"]
    assert len(stacked) == 2
    for stages in stacked:
        trained, scored = target_stage(plan, stages), plan.stages[stages.evaluation]
        assert trained.inputs == (english,) == (stages.intermediate,) and stages.members == (finnish,)
        assert scored.inputs == (trained.id, english, finnish)
        assert evaluation(scored).swapped == ("en", "fi")
    plain = [stages for cell, stages in plan.cell_stages.items() if cell.transfer == "none"]
    assert all(evaluation(plan.stages[stages.evaluation]).swapped == () for stages in plain)
    assert plan.naive_trainings == 2 * 1 + 2 * 3


def test_a_language_that_is_trained_in_but_not_read_is_trained_too(planned: Planner) -> None:
    plan = madx(planned, targets={"months": {"task": "months", "train_languages": "de", "languages": ["en", "fi"]}})
    labels = [stage.label for stage in plan.stages.values() if stage.kind == "intermediate"]
    assert [label.split(".")[3] for label in labels] == ["de", "en", "fi"]


def test_what_lies_below_decides_who_goes_together(planned: Planner) -> None:
    """Adapters of all languages in one pass; a target on one of them apart from a target without."""
    plan = madx(planned, methods={"task": {"kind": "bottleneck"}})
    kinds = [[plan.stages[id].kind for id in group] for group in bundles(plan, plan.stages)]
    assert kinds == [["intermediate"] * 2, ["target"], ["target"], ["evaluation"], ["evaluation"]]


def test_a_method_of_its_own_needs_no_languages_of_its_own(planned: Planner) -> None:
    plan = madx(planned, {"per_language": False, "languages": ["en", "de"]})
    (below,) = [stage for stage in plan.stages.values() if stage.kind == "intermediate"]
    assert isinstance(below.method, Bottleneck) and below.method.width == 24
    assert training(below).tasks[0].languages == ("de", "en")
    for cell, stages in plan.cell_stages.items():
        if cell.transfer == "stack":
            assert target_stage(plan, stages).inputs == (below.id,) and stages.members == ()
            assert evaluation(plan.stages[stages.evaluation]).swapped == ()


def test_nothing_is_kept_below_an_invertible_adapter(planned: Planner) -> None:
    top = {"task": {"kind": "bottleneck", "layers": "top-1"}}
    plan = madx(planned, methods=top, prefix_cache={"precision": "float16"})
    prefixes = {(stage.kind, cell.transfer): stage.work.prefix for cell, stage in _targets(plan)}
    assert prefixes == {("target", "none"): "float16", ("target", "stack"): "exact"}


def _targets(plan: Plan) -> list[tuple[Cell, Stage]]:
    return [(cell, target_stage(plan, stages)) for cell, stages in plan.cell_stages.items()]


@pytest.mark.parametrize(
    ("learnt", "changes", "reason"),
    [
        ({}, {"transfers": ["continue"]}, "'languages' has an adapter for each language, which take turns below the"),
        ({"languages": ["en", "de"]}, {}, "'languages' has no adapter for fi, which the target 'months' is trained or"),
        (
            {},
            {"targets": {"months": {"task": "months", "train_languages": ["en", "fi"], "languages": ["en"]}}},
            "a training lies upon one of them, but the target 'months' is trained in several languages",
        ),
        (
            {"per_language": False},
            {"transfers": ["continue"]},
            "'languages' has a method of its own, so its adapter can",
        ),
        ({}, {"methods": {"task": {"kind": "lora"}}}, "the method 'task' is lora and that of 'languages' bottleneck"),
        ({}, {"methods": {"task": BELOW}}, "both the method 'task' and the adapter below it have an invertible part"),
        ({"method": {"kind": "bottleneck", "layers": [6]}}, {}, "the method of 'languages' wants adapters in layer 6"),
        (
            {"method": {"kind": "bottleneck", "budget": "0.0001%"}},
            {},
            "the method of 'languages' has a budget of 0.0001%",
        ),
        (
            {},
            {"train": {"early_stopping": {"every": 5, "patience": 2}}},
            "early_stopping judges by scores on a dev set, and 'text' is masked-lm, which is not scored",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    learnt: dict[str, object], changes: dict[str, object], reason: str, planned: Planner
) -> None:
    plan = madx(planned, learnt, **changes)
    refused = [text for cell, text in plan.refused.items() if cell.intermediate == "languages"]
    assert refused and all(reason in text for text in refused), refused


def test_text_is_no_target(planned: Planner) -> None:
    plan = madx(planned, targets=["text"])
    assert len(plan.refused) == len(plan.cells)
    assert all("'text' is text to learn a language from, and is not scored" in text for text in plan.refused.values())


def test_invertible_adapters_are_not_fused(planned: Planner) -> None:
    plan = planned(
        backbones={"small": "e5@6"},
        methods={"language": {"kind": "bottleneck", "invertible": "nice"}},
        intermediates={"a": {"tasks": "units"}, "b": {"tasks": "numbers"}, "both": {"members": ["a", "b"]}},
        transfers=["fuse", "merge"],
        targets=["months"],
        seeds=[1],
    )
    told = {cell.transfer: text for cell, text in plan.refused.items() if cell.intermediate == "both"}
    assert set(told) == {"fuse"} and "an invertible part at the embeddings" in told["fuse"]
    trainings = [stage.work for stage in plan.stages.values() if isinstance(stage.work, Training)]
    assert {work.transfer for work in trainings} == {None, Merge()}


def test_adapters_of_languages_are_no_members(planned: Planner) -> None:
    members = {"languages": LANGUAGES, "one": {"tasks": "units"}, "all": {"members": ["languages", "one"]}}
    with pytest.raises(SettingError) as error:
        planned(intermediates=members, transfers=["merge"])
    (finding,) = error.value.findings
    assert finding.message == "'languages' is no single adapter of the cell's method"


@pytest.mark.parametrize("first", ["task", "other"])
@pytest.mark.parametrize(
    ("rates", "rate"),
    [
        ({"task": 1e-3, "other": 5e-4, "bottleneck": 1e-4}, 1e-4),
        ({"task": 1e-3, "other": 5e-4, "languages": 3e-3}, 3e-3),
    ],
)
def test_a_method_of_its_own_has_a_rate_of_its_own(
    rates: dict[str, float], rate: float, first: str, planned: Planner
) -> None:
    """By the intermediate's name or the method's kind, whichever cell comes first."""
    names = [first, *({"task", "other"} - {first})]
    methods = {name: {"kind": "bottleneck", "width": 8} for name in names}
    plan = madx(planned, methods=methods, train={"learning_rate": rates})
    own = [stage for stage in plan.stages.values() if stage.kind == "intermediate"]
    assert {training(stage).train.learning_rate for stage in own} == {rate} and len(own) == 2


def test_rounding_below_a_method_of_its_own_is_part_of_what_it_makes(planned: Planner) -> None:
    def below(precision: str, **learnt: object) -> tuple[str, str]:
        intermediates = {"below": {"tasks": "units", "method": {"kind": "bottleneck", "layers": "top-1"}, **learnt}}
        plan = madx(planned, intermediates=intermediates, prefix_cache={"precision": precision})
        (stage,) = [stage for stage in plan.stages.values() if stage.kind == "intermediate"]
        return stage.id, stage.work.prefix

    assert below("float16")[0] != below("exact")[0] and below("float16")[1] == "float16"
    # Of text nothing is kept, so nothing is rounded.
    assert below("float16", tasks="text") == below("exact", tasks="text")


@pytest.mark.parametrize(
    ("learnt", "lane", "reason"),
    [
        (
            {"method": {"kind": "bottleneck", "placement": "parallel"}},
            "reference",
            "in a stack with parallel bottlenecks",
        ),
        ({"method": {**BELOW, "adapter_drop": 2}}, "reference", "the method of 'languages' has adapter_drop"),
        ({"method": {**BELOW, "adapter_drop": 30}}, "fused", "the method of 'languages' leaves out the adapters of up"),
    ],
)
def test_what_a_method_of_its_own_cannot_be(
    learnt: dict[str, object], lane: str, reason: str, planned: Planner
) -> None:
    plan = madx(planned, learnt, lane=lane)
    refused = [text for cell, text in plan.refused.items() if cell.intermediate == "languages"]
    assert len(refused) == 2 and all(text.find(reason) >= 0 for text in refused), refused
