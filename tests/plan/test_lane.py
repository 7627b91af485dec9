"""Which lane trains what: identities, bundles, counts, and what the reference lane refuses."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.methods.library.spec import AdaptersMethod, PeftMethod
from adapterx.plan import LibraryAdapter, Plan, State, Training, build, bundles
from adapterx.plan import lane as lanes
from adapterx.plan.export import to_json
from adapterx.plan.render import render
from tests.plan.conftest import Planner, recipe
from tests.plan.fakes import FakeBackbones, FakeTasks
from tests.plan.test_transfers import INTERMEDIATES

IA3 = {"peft": {"peft_type": "IA3"}}
METHODS: dict[str, object] = {
    "lora": {"kind": "lora"},
    "pfeiffer": {"kind": "bottleneck"},
    "parallel": {"kind": "bottleneck", "placement": "parallel"},
    "dropped": {"kind": "lora", "adapter_drop": 2},
    "top": {"kind": "lora", "layers": "top-2"},
    "ia3": IA3,
    "compacter": {"adapters": "compacter"},
}


class FakeMeasure:
    """Counts its questions; three parameters for `peft`, five for `adapters`, and nothing above an IA3."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, method: MethodSpec, info: BackboneInfo) -> LibraryAdapter:
        self.asked[method.kind] += 1
        if isinstance(method, AdaptersMethod):
            return LibraryAdapter(5)
        assert isinstance(method, PeftMethod)
        if method.peft.peft_type == "OFT":
            raise ValueError("is refused by `peft`: no")
        return LibraryAdapter(3, "they multiply")


class ExtraLarge(FakeBackbones):
    """Models whose name ends in xl are pre-LN."""

    def __call__(self, backbone: Backbone) -> BackboneInfo:
        info = super().__call__(backbone)
        return replace(info, architecture="xlm-roberta-xl") if backbone.model.endswith("xl") else info


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> FakeMeasure:
    """Both libraries are there, or seem to be."""
    monkeypatch.setattr(lanes, "find_spec", lambda name: name)
    return FakeMeasure()


def plan(measure: FakeMeasure, **changes: object) -> Plan:
    settings: dict[str, object] = {
        "backbones": {"small": "e5@6"},
        "seeds": [1],
        "intermediates": INTERMEDIATES,
        "targets": ["units"],
        "methods": METHODS,
        "transfers": {
            "continue": {"kind": "continue"},
            "stack": {"kind": "stack"},
            "fuse": {"kind": "fuse"},
            "low": {"kind": "fuse", "value_rank": 2},
            "merge": {"kind": "merge"},
        },
        **changes,
    }
    return build(recipe(**settings), Path("recipes"), ExtraLarge(), FakeTasks(), measure)


def test_the_lane_is_part_of_an_identity_only_where_there_is_a_choice(planned: Planner, measure: FakeMeasure) -> None:
    fused, named, reference = planned(), planned(lane="fused"), plan(measure, lane="reference")
    assert list(fused.stages) == list(named.stages)
    trainings = [stage for stage in reference.stages.values() if isinstance(stage.work, Training)]
    assert {stage.work.lane for stage in trainings} == {"reference"}
    for stage in trainings:
        assert ("lane" in stage.settings) == (stage.coordinates.method not in ("ia3", "compacter"))
    mixed = plan(measure)
    by_lane = {stage.id: stage.work.lane for stage in mixed.stages.values()}
    for stage in mixed.stages.values():
        assert (by_lane[stage.id] == "reference") == (stage.coordinates.method in ("ia3", "compacter"))
        assert (stage.id in reference.stages) == (by_lane[stage.id] == "reference")


def test_stages_of_the_reference_lane_are_alone(measure: FakeMeasure) -> None:
    found = plan(measure)
    for bundle in bundles(found, list(found.stages)):
        lanes_of = {found.stages[id].work.lane for id in bundle}
        assert lanes_of == {"fused"} or len(bundle) == 1


def test_a_plan_shows_the_lane(measure: FakeMeasure) -> None:
    found = plan(measure, methods={"lora": {"kind": "lora"}, "ia3": IA3}, intermediates={"none": None})
    written = StringIO()
    console = Console(width=200, file=written)
    console.print(render(found, dict.fromkeys(found.stages, State("to-train"))))
    text = written.getvalue()
    assert "reference lane: target small.ia3.none.units.seed1: one at a time, on the libraries' own models" in text
    exported: Any = to_json(found, dict.fromkeys(found.stages, State("to-train")))
    assert [one["lane"] for one in exported["stages"]] == ["fused", "reference"] * 2


def test_a_library_is_asked_once_for_its_count(measure: FakeMeasure) -> None:
    found = plan(measure, methods={"ia3": IA3}, transfers=["continue"])
    (stage,) = [one for one in found.stages.values() if one.kind == "target" and not one.inputs]
    head = 384 * 384 + 384 + 384 * 2 + 2
    assert stage.cost.trainable_parameters == 3 + head
    assert stage.settings["method"] == {
        "kind": "peft",
        "peft": {
            "peft_type": "IA3",
            "target_modules": ["key", "output.dense", "value"],
            "feedforward_modules": ["output.dense"],
        },
    }
    assert measure.asked == {"peft": 1}
    plan(measure, methods={"lora": {"kind": "lora"}}, lane="reference")
    assert measure.asked == {"peft": 1}


def test_equal_adapters_have_equal_ids(measure: FakeMeasure) -> None:
    ways = [
        {"peft": {"peft_type": "DORA", "r": 4}},
        {"kind": "peft", "peft": {"peft_type": "LORA", "r": 4, "use_dora": True}},
        {"peft": {"use_dora": True, "target_modules": ["value", "query"], "r": 4, "peft_type": "LORA"}},
    ]
    ids = {tuple(plan(measure, methods={"one": way}, intermediates={"none": None}).stages) for way in ways}
    assert len(ids) == 1


def reason(found: Plan, method: str, transfer: str = "none") -> str:
    """Why the cells of a method and transfer are refused; of several members where the transfer wants several."""
    several = transfer in ("fuse", "low", "merge")
    wanted = "both" if several else "none" if transfer == "none" else "en"
    (text,) = [
        found.refused.get(cell, "")
        for cell in found.cells
        if (cell.method, cell.transfer, cell.intermediate) == (method, transfer, wanted)
    ]
    return text


@pytest.mark.parametrize(
    ("method", "transfer", "start"),
    [
        ("dropped", "none", "the method 'dropped' has adapter_drop, which neither library has; use the fused lane"),
        (
            "parallel",
            "stack",
            "the transfer 'stack' cannot stack adapters of the method 'parallel': in a stack with",
        ),
        ("ia3", "stack", "the transfer 'stack' cannot stack adapters of the method 'ia3': they multiply"),
        ("pfeiffer", "low", "the transfer 'low' has a value_rank, and AdapterFusion in `adapters` has a full value"),
        ("ia3", "merge", "the transfer 'merge' merges lora and bottleneck adapters; the method 'ia3' is of the"),
        ("compacter", "fuse", "the transfer 'fuse' fuses bottleneck adapters; the method 'compacter' is of the"),
    ],
)
def test_what_the_libraries_do_not_do_is_refused(method: str, transfer: str, start: str, measure: FakeMeasure) -> None:
    assert reason(plan(measure, lane="reference"), method, transfer).startswith(start)


def test_the_rest_is_not(measure: FakeMeasure) -> None:
    found = plan(measure, lane="reference")
    for method, transfers in {
        "lora": ("none", "continue", "stack", "merge"),
        "pfeiffer": ("none", "continue", "stack", "merge", "fuse"),
        "parallel": ("none", "continue", "merge", "fuse"),
        "ia3": ("none", "continue"),
        "compacter": ("none", "continue", "stack"),
    }.items():
        assert [reason(found, method, transfer) for transfer in transfers] == [""] * len(transfers)


def test_what_a_backbone_or_setting_rules_out(measure: FakeMeasure) -> None:
    large = plan(measure, lane="reference", backbones={"large": "xl"})
    for method in ("pfeiffer", "compacter"):
        assert "whose version 1.3.0 has no xlm-roberta-xl models; the backbone 'large'" in reason(large, method)
    assert reason(large, "lora") == reason(large, "ia3") == ""
    half = plan(measure, lane="reference", backbones={"half": {"model": "e5@6", "load": "bfloat16"}})
    assert "trains in float32, and the backbone 'half' is loaded in bfloat16" in reason(half, "pfeiffer")
    assert reason(half, "ia3") == ""
    rounded = plan(measure, lane="reference", prefix_cache={"precision": "float16"})
    assert "cannot round those below the adapters to float16" in reason(rounded, "top")
    assert reason(rounded, "lora") == ""
    pruned = plan(measure, train={"prune": {"learning_rates": [1e-4, 1e-3]}})
    assert "the reference lane, which trains 'ia3', trains one at a time; give it" in reason(pruned, "ia3")
    assert reason(pruned, "lora") == ""


def test_a_refusal_of_the_library_is_the_cells_own(measure: FakeMeasure, planned: Planner) -> None:
    wrong = plan(measure, methods={"oft": {"peft": {"peft_type": "OFT"}}})
    assert reason(wrong, "oft") == "the method 'oft' on the backbone 'small' is refused by `peft`: no"
    nobody = planned(methods={"ia3": IA3})
    assert "needs the library `peft`, which this plan was not given" in next(iter(nobody.refused.values()))


def test_a_library_that_is_missing_is_named(measure: FakeMeasure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "find_spec", lambda name: None)
    for name in ("peft", "adapters"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = plan(measure, lane="reference")
    for method, extra in (("compacter", "adapterhub"), ("pfeiffer", "adapterhub"), ("ia3", "peft"), ("lora", "peft")):
        assert reason(found, method).endswith(f"which is not installed: pip install 'adapterx[{extra}]'")
    assert not measure.asked
