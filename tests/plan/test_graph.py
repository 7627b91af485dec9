from __future__ import annotations

import pytest

from adapterx.config.problems import SettingError
from adapterx.limits import Limit
from adapterx.plan import Capacity, Evaluation, Training, build, bundles, ready
from adapterx.transfers.stack import Stack
from tests.plan.conftest import Planner, recipe, target_stage
from tests.plan.fakes import FakeBackbones, FakeTasks


def test_an_intermediate_serves_every_transfer_and_target(planned: Planner) -> None:
    plan = planned()
    kinds = [stage.kind for stage in plan.stages.values()]
    assert kinds.count("intermediate") == 2 * 2 * 2 * 2  # backbones, methods, non-null intermediates, seeds
    assert kinds.count("target") == kinds.count("evaluation") == len(plan.cells) == 80
    assert plan.naive_trainings == 16 + 64 * 2
    assert plan.refused == {}


def test_every_stage_comes_after_its_inputs(planned: Planner) -> None:
    plan = planned()
    seen: set[str] = set()
    for id, stage in plan.stages.items():
        assert set(stage.inputs) <= seen
        seen.add(id)
    for cell, stages in plan.cell_stages.items():
        trained, evaluation = target_stage(plan, stages), plan.stages[stages.evaluation]
        assert trained.inputs == ((stages.intermediate,) if stages.intermediate else ())
        assert evaluation.inputs == (trained.id,)
        assert trained.label == evaluation.label == cell.label


def test_work_is_concrete(planned: Planner) -> None:
    plan = planned(train={"steps": 9, "intermediate": {"epochs": 2}}, evaluate={"limit": 5}, seeds=[4])
    by_name = {(stage.kind, stage.label): stage.work for stage in plan.stages.values()}
    learnt = by_name["intermediate", "small.lora.multi.seed4"]
    assert isinstance(learnt, Training)
    assert [(part.task, part.languages) for part in learnt.tasks] == [
        ("numbers", ("de", "en", "fi")),
        ("units", ("de", "en", "fi")),
    ]
    assert (learnt.train.epochs, learnt.train.steps, learnt.transfer, learnt.seed) == (2.0, None, None, 4)
    target = by_name["target", "small.lora.multi.stack.months.seed4"]
    assert isinstance(target, Training)
    assert (target.train.steps, target.transfer, target.tasks[0].languages) == (9, Stack(), ("en",))
    scored = by_name["evaluation", "small.lora.multi.stack.months.seed4"]
    assert isinstance(scored, Evaluation)
    assert (scored.limit, scored.task.languages) == (Limit(5), ("de", "en", "fi"))


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ({"t": {"task": "units", "languages": ["en", "fr"]}}, "the task 'units' has no language 'fr'"),
        (
            {"t": {"task": "units", "source": "local", "train_languages": "de"}},
            "the task 'units' (local) has no train data in 'de'; a target can train on another task: train_task",
        ),
        (
            {"t": {"task": "nli", "train_task": "units"}},
            "trains on 'units' with the labels no, yes and evaluates on 'nli' with entailment, neutral, contradiction:"
            " one head cannot serve both",
        ),
        (
            {"t": {"task": "months", "train_task": "units"}},
            "trains on 'units' (pair-classification) and evaluates on 'months' (multiple-choice): the formats differ",
        ),
    ],
)
def test_what_cannot_work_is_refused_and_the_rest_goes_on(
    targets: dict[str, object], reason: str, planned: Planner
) -> None:
    plan = planned(targets={**targets, "good": "months"}, backbones={"small": "e5@6"}, seeds=[1])
    assert {text.partition(" (known")[0] for text in plan.refused.values()} == {reason}
    assert {cell.target for cell in plan.refused} == {"t"}
    assert {cell.target for cell in plan.cell_stages} == {"good"}
    assert len(plan.refused) == len(plan.cell_stages)


def test_a_refused_target_leaves_no_intermediate_behind(planned: Planner) -> None:
    plan = planned(targets={"t": {"task": "nli", "train_task": "units"}})
    assert plan.stages == {}
    assert set(plan.refused) == set(plan.cells)


def test_a_backbone_that_is_not_there_refuses_its_cells_only(planned: Planner) -> None:
    plan = planned(backbones={"small": "e5@6", "lost": "missing"})
    assert set(plan.refused.values()) == {"missing/config.json: no such file"}
    assert {cell.backbone for cell in plan.refused} == {"lost"}
    assert set(plan.backbones) == {"small"}


def test_sequences_longer_than_the_backbone_reads(planned: Planner) -> None:
    plan = planned(train={"max_length": 513})
    assert set(plan.cells) == set(plan.refused)
    assert planned(train={"max_length": 512}).refused == {}
    assert "max_length 513 is longer than the 512 tokens" in next(iter(plan.refused.values()))


def test_all_languages_are_those_with_data(planned: Planner) -> None:
    plan = planned(intermediates={"multi": {"tasks": "units", "languages": "all", "source": "local"}}, seeds=[1])
    work = next(iter(plan.stages.values())).work
    assert isinstance(work, Training)
    assert work.tasks[0].languages == ("en", "fi")


def test_misspelt_tasks_and_sources_stop_the_plan(tasks: FakeTasks, backbones: FakeBackbones) -> None:
    wrong = recipe(
        intermediates={"en": {"tasks": ["units", "mnths"]}},
        targets={"a": {"task": "months", "source": "lokal"}, "b": {"task": "units", "train_task": "unit"}},
    )
    with pytest.raises(SettingError) as raised:
        build(wrong, None, backbones, tasks)
    assert [(finding.location, finding.message) for finding in raised.value.findings] == [
        (("intermediates", "en", "tasks", 1), "no task 'mnths' (did you mean 'months'?)"),
        (("targets", "a", "source"), "the task 'months' has no source 'lokal' (did you mean 'local'?)"),
        (("targets", "b", "train_task"), "no task 'unit' (did you mean 'units'?)"),
    ]


def test_skipping_everything_is_a_mistake(planned: Planner) -> None:
    with pytest.raises(SettingError, match="leaves no cell"):
        planned(skip=[{"seeds": [1, 2]}])


def test_a_thousand_cells_ask_each_question_once(planned: Planner, tasks: FakeTasks, backbones: FakeBackbones) -> None:
    plan = planned(seeds=list(range(30)))
    assert len(plan.cells) == 1200
    assert set(backbones.asked.values()) == {1}
    assert set(tasks.asked.values()) == {1}
    assert len(tasks.asked) < 40


def test_bundles_hold_what_one_pass_can_serve(planned: Planner) -> None:
    plan = planned(seeds=[1, 2, 3])
    first = ready(plan, set())
    assert {plan.stages[id].kind for id in first} == {"intermediate", "target"}
    assert all(not plan.stages[id].inputs for id in first)
    together = bundles(plan, plan.stages, Capacity(cells=8))
    assert sorted(id for bundle in together for id in bundle) == sorted(plan.stages)
    assert max(len(bundle) for bundle in together) <= 8
    for bundle in together:
        members = [plan.stages[id] for id in bundle]
        assert len({stage.kind == "evaluation" for stage in members}) == 1
        assert len({stage.info.key for stage in members}) == 1
        if members[0].kind == "evaluation":
            assert len({stage.work for stage in members}) == 1  # the same texts, whatever the methods
        else:
            assert len({stage.method for stage in members}) == 1
            assert len({".stack." in stage.label for stage in members}) == 1


def test_a_group_is_cut_evenly(planned: Planner) -> None:
    plan = planned(
        backbones={"a": "e5@2"}, methods={"l": {"kind": "lora"}}, intermediates={"none": None}, seeds=[1, 2, 3]
    )
    targets = [id for id, stage in plan.stages.items() if stage.kind == "target"]
    assert [len(bundle) for bundle in bundles(plan, targets, Capacity(cells=4))] == [3, 3]
    assert [len(bundle) for bundle in bundles(plan, targets, Capacity(cells=16))] == [6]


def test_the_candidates_of_a_stage_count_towards_the_limit_and_stay_together(planned: Planner) -> None:
    plan = planned(
        backbones={"a": "e5@2"},
        methods={"l": {"kind": "lora"}},
        intermediates={"none": None},
        seeds=[1, 2, 3],
        train={"prune": {"learning_rates": [1e-4, 1e-3, 1e-2]}},
    )
    targets = [id for id, stage in plan.stages.items() if stage.kind == "target"]
    assert [plan.stages[id].candidates for id in targets] == [3] * 6
    assert [len(bundle) for bundle in bundles(plan, targets, Capacity(cells=16))] == [3, 3]
    assert [len(bundle) for bundle in bundles(plan, targets, Capacity(cells=2))] == [1] * 6
    evaluations = [id for id, stage in plan.stages.items() if stage.kind == "evaluation"]
    assert [len(bundle) for bundle in bundles(plan, evaluations, Capacity(cells=16))] == [3, 3]  # by their texts
