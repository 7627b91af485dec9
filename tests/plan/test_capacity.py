"""A budget comes to the largest adapter that is within it, on every backbone."""

from __future__ import annotations

import pytest

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.spec import Backbone
from adapterx.methods.base import MethodSpec
from adapterx.methods.bottleneck.spec import Bottleneck
from adapterx.methods.lora.spec import Lora
from adapterx.plan.identity import training_settings
from adapterx.plan.stage import Training
from adapterx.recipe import Sampling, Train
from tests.plan.conftest import Planner

BASE = BackboneInfo("base", "xlm-roberta", 768, 12, 12, 3072, 250_002, 512)
LARGE = BackboneInfo("large", "xlm-roberta", 1024, 24, 16, 4096, 250_002, 512)
BUDGETS = [
    {"kind": "lora", "budget": "0.5%"},
    {"kind": "lora", "budget": "0.1%", "target_modules": ["intermediate", "query"], "layers": "top-4"},
    {"kind": "bottleneck", "budget": "0.5%"},
    {"kind": "bottleneck", "placement": "double", "budget": "1.5%"},
    {"kind": "bottleneck", "placement": "parallel", "budget": "2%"},
]


def method(**settings: object) -> MethodSpec:
    kinds: dict[str, type[MethodSpec]] = {"lora": Lora, "bottleneck": Bottleneck}
    return kinds[str(settings["kind"])].model_validate(settings)


def sized(**settings: object) -> Lora:
    """A LoRA with the rank that its budget comes to on a base-sized encoder."""
    found = method(kind="lora", **settings).sized(BASE)
    assert isinstance(found, Lora)
    return found


def test_a_rank_above_the_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has a budget of 90%, which is rank .*, more than the 768 features"):
        Lora.model_validate({"budget": "90%"}).sized(BASE)


@pytest.mark.parametrize("settings", BUDGETS)
@pytest.mark.parametrize("info", [BASE, LARGE], ids=["base", "large"])
def test_the_largest_within_the_budget(settings: dict[str, object], info: BackboneInfo) -> None:
    found = method(**settings).sized(info)
    share = float(str(settings["budget"]).removesuffix("%")) / 100
    allowed = share * info.parameters
    assert isinstance(found, Lora | Bottleneck)
    size = "rank" if isinstance(found, Lora) else "width"
    larger = found.model_copy(update={size: getattr(found, size) + 1})
    assert found.parameters(info) <= allowed < larger.parameters(info)
    assert found.budget is None


def test_a_budget_has_the_identity_of_the_size_it_comes_to() -> None:
    rank = sized(budget="0.5%").rank
    work = Training((), Sampling(), Train().phase("target", "", "lora"), 1, None)
    chosen, plain = (
        training_settings(Backbone(model="x"), BASE, one, work)
        for one in (sized(budget="0.5%"), Lora(rank=rank, alpha=2.0 * rank))
    )
    assert chosen == plain


def test_alpha_stays_as_it_is_given() -> None:
    assert sized(budget="0.5%", alpha=7.0).alpha == 7.0


def test_what_has_no_budget_stays_as_it_is() -> None:
    one = Lora(rank=3)
    assert one.sized(BASE) is one


def test_too_small_a_budget_is_refused_with_what_it_takes(planned: Planner) -> None:
    plan = planned(methods={"tiny": {"kind": "lora", "budget": "0.00001%"}}, intermediates={"none": None})
    reasons = set(plan.refused.values())
    assert len(reasons) == 2 and all("the smallest adapter has" in reason for reason in reasons)


def test_a_head_takes_nothing_from_an_intermediate(planned: Planner) -> None:
    plan = planned(methods={"probe": {"kind": "head"}})
    assert {cell.transfer for cell in plan.refused} == {"continue", "stack"}
    assert {cell.transfer for cell in plan.cell_stages} == {"none"}


def test_full_refuses_stack_rounding_and_races(planned: Planner) -> None:
    plan = planned(methods={"full": {"kind": "full"}})
    assert {cell.transfer for cell in plan.refused} == {"stack"}
    rounded = planned(methods={"full": {"kind": "full"}}, backbones={"small": {"model": "e5@6", "load": "int8"}})
    assert all(
        "loaded in int8: set load: float32 or bfloat16" in why or "no adapters to stack" in why
        for why in rounded.refused.values()
    )
    assert not rounded.stages
    races = planned(methods={"full": {"kind": "full"}}, train={"prune": {"learning_rates": [1e-4, 1e-5]}})
    assert any("side by side" in why for why in races.refused.values()) and not races.stages


@pytest.mark.parametrize(
    ("layers", "drop", "reason"),
    [
        ("all", 5, None),
        ("all", 6, "the highest on the backbone 'small' is in layer 5"),
        ("top-2", 4, "the lowest on the backbone 'small' is in layer 4"),
        ("top-2", 5, None),
    ],
)
def test_adapter_drop_leaves_out_some_adapters_and_not_all(
    planned: Planner, layers: str, drop: int, reason: str | None
) -> None:
    methods = {"one": {"kind": "lora", "layers": layers, "adapter_drop": drop}}
    plan = planned(methods=methods, backbones={"small": "e5@6"}, intermediates={"none": None})
    assert bool(plan.cell_stages) == (reason is None)
    assert all(reason is not None and reason in why for why in plan.refused.values())


def test_learning_rates_by_kind_reach_a_probe(planned: Planner) -> None:
    kinds = {"probe": {"kind": "head"}, "lora": {"kind": "lora"}}
    plan = planned(methods=kinds, train={"learning_rate": {"head": 0.01, "lora": 2e-4}}, intermediates={"none": None})
    assert {cell.method for cell in plan.cell_stages} == {"probe", "lora"}
    rates = {
        stage.method.kind: stage.work.train.learning_rate
        for stage in plan.stages.values()
        if isinstance(stage.work, Training)
    }
    assert rates == {"head": 0.01, "lora": 2e-4}
