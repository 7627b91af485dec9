"""Nothing is trained for what is searched, and a target's own settings come before its phase's."""

from __future__ import annotations

import pytest

from adapterx.plan import Evaluation, Plan, StageKind, Training, bundles
from adapterx.plan.stage import SearchSettings
from tests.plan.conftest import Planner

TARGETS = {"names": {"task": "names"}, "pairs": {"task": "pairs"}, "after": {"task": "names", "train_task": "units"}}


def evaluation(plan: Plan, label: str) -> Evaluation:
    (found,) = (stage.work for stage in plan.stages.values() if stage.kind == "evaluation" and stage.label == label)
    assert isinstance(found, Evaluation)
    return found


def test_the_backbone_as_it_is_is_evaluated_once(planned: Planner) -> None:
    plan = planned(targets=TARGETS, transfers=["continue"])
    assert plan.refused == {}
    bare = {
        plan.cell_stages[cell].evaluation
        for cell in plan.cells
        if cell.intermediate == "none" and cell.target == "names"
    }
    assert len(bare) == 2, "one per backbone, whatever the methods and seeds"
    for id in bare:
        assert plan.stages[id].inputs == () and "backbone" in plan.stages[id].settings
        assert not any(plan.stages[id].cost.memory.cell.values()), "no adapter"
    for cell, stages in plan.cell_stages.items():
        assert (stages.target is None) == (cell.target != "after")
        if cell.target != "after" and cell.intermediate != "none":
            assert plan.stages[stages.evaluation].inputs == (stages.intermediate,)
    trainings = [stage for stage in plan.stages.values() if isinstance(stage.work, Training)]
    assert len(trainings) == 2 * 2 * 2 * (2 + 3), "intermediates, and `after` behind each of them and behind none"
    assert plan.naive_trainings == 8 * (2 + 2 + 1 + 2 * 2), "a loop would train the intermediates anew for each target"
    assert all(bundle for bundle in bundles(plan, plan.stages))


def test_layers_follow_the_depth_and_margins_where_pairs_are_mined(planned: Planner) -> None:
    settings = {"layer": 3, "pooling": "cls", "special_tokens": False, "similarity": "margin", "neighbours": 7}
    targets = {**TARGETS, "own": {"task": "names", "retrieval": settings}}
    plan = planned(targets=targets, transfers=["continue"], train={"target": {"max_length": 64}})
    assert evaluation(plan, "base.lora.none.names.seed1").search == SearchSettings(7, "mean", True, "cosine", None, 64)
    assert evaluation(plan, "small.lora.none.names.seed1").search == SearchSettings(4, "mean", True, "cosine", None, 64)
    assert evaluation(plan, "base.lora.none.pairs.seed1").search == SearchSettings(7, "mean", True, "margin", 4, 64)
    assert evaluation(plan, "base.lora.none.own.seed1").search == SearchSettings(3, "cls", True, "margin", 7, 64)


def test_an_intermediates_own_method_is_what_is_searched_with(planned: Planner) -> None:
    plan = planned(
        methods={"low": {"kind": "lora"}, "high": {"kind": "lora", "layers": "top-1"}},
        intermediates={"own": {"tasks": "units", "method": {"kind": "lora", "layers": "top-1"}}},
        transfers=["continue"],
        targets={"names": TARGETS["names"]},
        prefix_cache={"precision": "float16"},
        seeds=[1],
    )
    evaluations = {stages.evaluation for stages in plan.cell_stages.values()}
    assert len(evaluations) == 2, "one per backbone, whatever the cell's method"
    works = [plan.stages[id].work for id in evaluations]
    assert all(isinstance(work, Evaluation) and work.prefix == "float16" for work in works)


def test_another_layer_is_another_evaluation_and_no_other_training(planned: Planner) -> None:
    one, other = (
        planned(targets={"after": {**TARGETS["after"], "retrieval": {"layer": layer}}}, transfers=["continue"])
        for layer in (5, 6)
    )
    same = set(one.stages) & set(other.stages)
    assert {stage.kind for stage in one.stages.values() if stage.id not in same} == {"evaluation"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"transfers": ["stack"]},
            "nothing is trained for the target 'names', so the transfer 'stack' has nothing to bring",
        ),
        (
            {
                "intermediates": {"a": {"tasks": "units"}, "b": {"tasks": "nli"}, "ab": {"members": ["a", "b"]}},
                "transfers": ["continue"],
                "skip": [{"intermediates": ["a", "b"]}],
            },
            "'ab' is 2 adapters: give the target a train_task",
        ),
        ({"targets": {"n": {"task": "names", "retrieval": {"layer": 13}}}}, "reads layer 13, and the backbone"),
        (
            {"targets": {"n": {"task": "nli", "retrieval": {}}}},
            "has `retrieval` settings, and 'nli' is pair-classification",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(planned: Planner, changes: dict[str, object], reason: str) -> None:
    plan = planned(**{"targets": {"names": TARGETS["names"]}, **changes})
    assert any(reason in said for said in plan.refused.values()), plan.refused


def test_own_training_settings_come_before_those_of_the_phase(planned: Planner) -> None:
    plan = planned(
        train={"epochs": 2, "learning_rate": 1e-3, "target": {"batch_size": 8, "steps": 9}},
        targets={
            "months": {"task": "months", "train": {"epochs": 4, "learning_rate": {"lora": 3e-3, "bottleneck": 4e-3}}},
            "numbers": {"task": "numbers"},
        },
        intermediates={
            "none": None,
            "en": {"tasks": "units", "train": {"max_length": 64}},
            "nli": {"tasks": "nli"},
            "two": {"members": ["en", "nli"]},
        },
        transfers={"continue": {"kind": "continue"}, "mean": {"kind": "merge"}},
        seeds=[1],
    )
    works = {(stage.kind, stage.label): stage.work for stage in plan.stages.values()}

    def settings(kind: StageKind, label: str) -> tuple[object, ...]:
        work = works[kind, label]
        assert isinstance(work, Training)
        train = work.train
        return train.batch_size, train.epochs, train.steps, train.learning_rate, train.max_length

    assert settings("target", "base.lora.none.months.seed1") == (8, 4, None, 3e-3, 128)
    assert settings("target", "base.pfeiffer.none.months.seed1") == (8, 4, None, 4e-3, 128)
    assert settings("target", "base.lora.none.numbers.seed1") == (8, None, 9, 1e-3, 128)
    assert settings("intermediate", "base.lora.en.seed1") == (32, 2, None, 1e-3, 64), "as a member too: there is one"
    assert settings("intermediate", "base.lora.nli.seed1") == (32, 2, None, 1e-3, 128)


def test_layers_of_one_cell_are_read_in_one_bundle_unless_states_are_rounded(planned: Planner) -> None:
    layers = {f"layer-{layer}": {"task": "names", "retrieval": {"layer": layer}} for layer in (2, 5)}
    targets = {**layers, "margin": {"task": "names", "retrieval": {"layer": 2, "similarity": "margin"}}}
    one: dict[str, object] = {"targets": targets, "transfers": ["continue"], "backbones": {"small": "e5@6"}}
    plan = planned(**one, intermediates={"none": None, "en": {"tasks": "units"}}, methods={"full": {"kind": "full"}})
    found = [
        [plan.stages[id] for id in bundle]
        for bundle in bundles(plan, [id for id, stage in plan.stages.items() if stage.kind == "evaluation"])
    ]
    assert sorted(len(bundle) for bundle in found) == [3, 3, 3], "of the bare backbone, and of each seed trained whole"
    assert all(len({stage.inputs for stage in bundle}) == 1 for bundle in found)
    rounded = planned(**one, prefix_cache={"precision": "float16"}, intermediates={"none": None})
    together = bundles(rounded, [id for id, stage in rounded.stages.items() if stage.kind == "evaluation"])
    assert sorted(map(len, together)) == [1, 1, 1]


def test_vectors_of_candidates_count_in_memory(planned: Planner) -> None:
    plan = planned(targets={**TARGETS, "units": "units"}, transfers=["continue"], seeds=[1])
    names, pairs = (
        next(stage for stage in plan.stages.values() if stage.label == f"small.lora.none.{target}.seed1")
        for target in ("names", "pairs")
    )
    # 5,100 texts a split and language, of three languages; pairs have a dev set too
    vectors = 4 * 384 * 3 * 5_100
    assert pairs.cost.memory.vectors - names.cost.memory.vectors == vectors
    assert names.cost.seconds is not None and names.cost.seconds > 0
