"""Transfers that take several adapters: their stages, what is refused, and names that change no id."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.methods.lora.spec import Lora
from adapterx.plan import Plan, Stage, bundles, states
from adapterx.store import Store
from tests.plan.conftest import Planner, target_stage
from tests.plan.fakes import FakeTasks
from tests.plan.test_states import commit
from tests.support.present import present

INTERMEDIATES = {
    "none": None,
    "en": {"tasks": ["units"]},
    "multi": {"tasks": ["units", "numbers"]},
    "both": {"members": ["en", "multi"]},
}


def small(planned: Planner, **changes: object) -> Plan:
    settings = {"backbones": {"small": "e5@6"}, "seeds": [1], "intermediates": INTERMEDIATES, "targets": ["months"]}
    return planned(**{**settings, **changes})


def test_every_member_is_trained_once_and_is_an_input(planned: Planner) -> None:
    plan = small(planned, transfers=["continue", "merge"])
    assert [stage.label for stage in plan.stages.values() if stage.kind == "intermediate"] == [
        "small.lora.en.seed1",
        "small.lora.multi.seed1",
        "small.pfeiffer.en.seed1",
        "small.pfeiffer.multi.seed1",
    ]
    for cell, stages in plan.cell_stages.items():
        trained = target_stage(plan, stages)
        if cell.intermediate == "both":
            assert cell.transfer == "merge" and stages.intermediate is None
            assert trained.inputs == stages.members
            assert [plan.stages[id].coordinates.intermediate for id in stages.members] == ["en", "multi"]
        else:
            assert stages.members == ()
    assert {cell.transfer for cell in plan.cell_stages if cell.intermediate == "both"} == {"merge"}
    assert plan.naive_trainings == 2 * (1 + 2 + 2 + 3)


@pytest.mark.parametrize(
    ("transfer", "intermediate", "method", "reason"),
    [
        ("continue", "both", "lora", "the transfer 'continue' takes one adapter, and 'both' is 2"),
        ("stack", "both", "lora", "the transfer 'stack' takes one adapter, and 'both' is 2"),
        ("merge", "en", "lora", "the transfer 'merge' brings several adapters together, and 'en' is one"),
        ("ties", "both", "pfeiffer", "the transfer 'ties' merges by ties, which is not defined for the bottleneck"),
        ("sum", "both", "lora", "the transfer 'sum' merges by task_arithmetic, which is not defined for the lora"),
        ("fuse", "en", "pfeiffer", "the transfer 'fuse' brings several adapters together, and 'en' is one"),
        ("fuse", "both", "lora", "the transfer 'fuse' mixes what bottleneck adapters add to a layer, and the method"),
        ("three", "both", "lora", "the transfer 'three' has 3 weights for the 2 members of 'both'"),
    ],
)
def test_what_cannot_be_is_refused(
    transfer: str, intermediate: str, method: str, reason: str, planned: Planner
) -> None:
    transfers = {
        "continue": {"kind": "continue"},
        "stack": {"kind": "stack"},
        "merge": {"kind": "merge"},
        "fuse": {"kind": "fuse"},
        "ties": {"kind": "merge", "method": "ties"},
        "sum": {"kind": "merge", "method": "task_arithmetic"},
        "three": {"kind": "merge", "weights": [1, 2, 3]},
    }
    plan = small(planned, transfers=transfers)
    (refused,) = [
        text
        for cell, text in plan.refused.items()
        if (cell.transfer, cell.intermediate, cell.method) == (transfer, intermediate, method)
    ]
    assert refused.startswith(reason)


def test_names_of_transfers_change_no_id(planned: Planner) -> None:
    listed = small(planned, transfers=["continue", "stack", "merge"])
    named = small(planned, transfers={"on": {"kind": "continue"}, "below": {"kind": "stack"}, "one": {"kind": "merge"}})
    assert list(listed.stages) == list(named.stages)
    assert "small.lora.both.one.months.seed1" in {stage.label for stage in named.stages.values()}


def test_what_a_merge_does_is_part_of_its_id(planned: Planner) -> None:
    transfers = {
        "plain": {"kind": "merge"},
        "same": {"kind": "merge", "method": "linear"},
        "ties": {"kind": "merge", "method": "ties"},
        "half": {"kind": "merge", "method": "ties", "density": 0.5},
        "fifth": {"kind": "merge", "method": "ties", "density": 0.2},
        "weighted": {"kind": "merge", "weights": [1, 2]},
    }
    plan = small(planned, transfers=transfers, methods={"lora": {"kind": "lora"}})
    found = {
        cell.transfer: present(stages.target)
        for cell, stages in plan.cell_stages.items()
        if cell.intermediate == "both"
    }
    assert found["plain"] == found["same"] and found["ties"] == found["half"]
    assert len(set(found.values())) == 4
    settings = plan.stages[found["fifth"]].settings
    assert settings["transfer"] == {"kind": "merge", "method": "ties", "density": 0.2}


def test_tuned_weights_read_the_dev_data_of_what_the_members_learnt(planned: Planner, tasks: FakeTasks) -> None:
    def target(**changes: object) -> Stage:
        transfers = {"way": {"kind": "merge", "weights": "tuned", **changes}}
        plan = small(planned, transfers=transfers, methods={"lora": {"kind": "lora"}})
        (found,) = [target_stage(plan, stages) for stages in plan.cell_stages.values() if stages.members]
        return found

    stage = target()
    assert stage.settings["transfer"] == {"kind": "merge", "weights": "tuned"}
    data = "units embedded [('dev', ('en',)), ('train', ('en',))] 1"
    tuning = stage.settings["tuning"]
    assert isinstance(tuning, dict) and tuning == {
        "limit": 200,
        "sample": "hashed-1",
        "dev": {
            "1": {"units": {"languages": ["en"], "data": data}},
            "2": {
                "numbers": {"languages": ["en"], "data": data.replace("units", "numbers")},
                "units": {"languages": ["en"], "data": data},
            },
        },
    }
    first = target(tuning_sample="first")
    assert first.id.startswith("93481ef7e4d84b7c"), "pinned: results of before there was a choice"
    assert first.settings["tuning"] == {key: value for key, value in tuning.items() if key != "sample"}
    same = [target(tuning_limit=200), target(method="linear")]
    assert {one.id for one in same} == {stage.id}
    others = [target(tuning_limit=50), target(tuning_limit=None), target(method="cat"), target(weights=[0.5, 0.5])]
    assert len({stage.id, first.id, *(one.id for one in others)}) == 6
    assert "tuning" not in others[-1].settings
    inputs = stage.inputs
    tasks.dev_revision = "2"
    assert target().inputs == inputs and target().id != stage.id


def test_tuned_weights_need_dev_data(planned: Planner) -> None:
    entries = {**INTERMEDIATES, "far": {"tasks": ["units"], "languages": ["fi"], "source": "local"}}
    entries["both"] = {"members": ["en", "far"]}
    transfers = {"tuned": {"kind": "merge", "weights": "tuned"}, "merge": {"kind": "merge"}}
    plan = small(planned, transfers=transfers, intermediates=entries, methods={"lora": {"kind": "lora"}})
    refused = {cell.transfer: reason for cell, reason in plan.refused.items() if cell.intermediate == "both"}
    assert refused == {
        "tuned": "the transfer 'tuned' tunes its weights on dev data of what the members learnt:"
        " the task 'units' (local) has no dev data in 'fi'"
    }


def test_a_wider_adapter_costs_more_and_has_its_own_bundle(planned: Planner) -> None:
    transfers = {"linear": {"kind": "merge"}, "cat": {"kind": "merge", "method": "cat"}}
    plan = small(planned, transfers=transfers, methods={"lora": {"kind": "lora"}}, intermediates=INTERMEDIATES)
    narrow, wide = (
        target_stage(plan, stages) for cell, stages in plan.cell_stages.items() if cell.intermediate == "both"
    )
    assert isinstance(wide.method, Lora) and (wide.method.rank, wide.method.alpha) == (16, 32.0)
    assert wide.cost.trainable_parameters > narrow.cost.trainable_parameters
    together = bundles(plan, [narrow.id, wide.id])
    assert sorted(map(len, together)) == [1, 1]


def test_a_fusion_has_its_own_parameters_rate_and_bundle(planned: Planner) -> None:
    transfers = {"merge": {"kind": "merge"}, "fuse": {"kind": "fuse"}, "fast": {"kind": "fuse", "learning_rate": 1e-2}}
    methods = {"one": {"kind": "bottleneck"}, "two": {"kind": "bottleneck", "placement": "double"}}
    plan = small(planned, transfers=transfers, methods=methods)
    found = {
        (cell.method, cell.transfer): target_stage(plan, stages)
        for cell, stages in plan.cell_stages.items()
        if cell.intermediate == "both"
    }
    sizes = {key: stage.cost.trainable_parameters for key, stage in found.items()}
    info = plan.backbones["small"]
    fusion = info.layers * (3 * info.hidden**2 + 2 * info.hidden)
    assert sizes["two", "fuse"] - sizes["one", "fuse"] == fusion
    assert sizes["one", "fast"] == sizes["one", "fuse"]
    assert found["one", "fast"].settings["train"] == {"learning_rate": 1e-2}
    assert found["one", "fuse"].settings["train"] == {}
    assert found["one", "fuse"].settings["transfer"] == {"kind": "fuse"}
    together = bundles(plan, [found["one", name].id for name in transfers])
    assert sorted(map(len, together)) == [1, 2]


def test_a_rate_of_its_own_stands_in_for_pruning(planned: Planner) -> None:
    train = {"prune": {"learning_rates": [1e-4, 1e-3]}}
    methods = {"one": {"kind": "bottleneck"}}
    plan = small(planned, transfers={"fast": {"kind": "fuse", "learning_rate": 1e-2}}, methods=methods, train=train)
    (fused,) = [target_stage(plan, one) for cell, one in plan.cell_stages.items() if cell.intermediate == "both"]
    assert fused.settings["train"] == {"learning_rate": 1e-2} and fused.candidates == 1


def test_a_stale_target_tells_which_member_changed(planned: Planner, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    merged = {"transfers": ["merge"], "methods": {"lora": {"kind": "lora"}}}
    for stage in small(planned, **merged).stages.values():
        commit(store, stage)
    changed = small(
        planned, **merged, intermediates={**INTERMEDIATES, "multi": {"tasks": ["units"], "languages": ["en", "de"]}}
    )
    (merged_id,) = [
        present(stages.target) for cell, stages in changed.cell_stages.items() if cell.intermediate == "both"
    ]
    reasons = [change.key for change in states(changed, store)[merged_id].stale]
    assert reasons and all(key.startswith("intermediate: ") for key in reasons)


def test_members_that_learn_the_same_are_each_an_input(planned: Planner) -> None:
    intermediates = {"a": {"tasks": "units"}, "b": {"tasks": "units"}, "both": {"members": ["a", "b"]}}
    plan = small(planned, intermediates=intermediates, transfers=["merge"], methods={"lora": {"kind": "lora"}})
    (stages,) = plan.cell_stages.values()
    assert stages.members == target_stage(plan, stages).inputs and len(stages.members) == 2
    assert len(set(stages.members)) == 1 and len(plan.stages) == 3
