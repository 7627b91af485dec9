"""Batches that take turns, in a plan: what they are part of, and where they cannot be."""

from __future__ import annotations

import pytest

from adapterx.config.problems import SettingError
from adapterx.plan import Plan, Stage
from adapterx.plan.cost import LINE_BYTES
from adapterx.plan.counted import steps_of
from tests.plan.conftest import Planner, training
from tests.plan.fakes import FakeBackbones, FakeTasks

TEXT = {"task": "text", "share": 0.2, "languages": ["en", "fi"]}


def learnt(plan: Plan) -> Stage:
    """The one intermediate of a plan."""
    (stage,) = {stage.id: stage for stage in plan.stages.values() if stage.kind == "intermediate"}.values()
    return stage


def planned_with(planned: Planner, learns: dict[str, object], **changes: object) -> Plan:
    return planned(
        backbones={"base": "e5"},
        methods={"lora": {"kind": "lora"}},
        intermediates={"own": {"tasks": "units", "languages": ["de", "en"], **learns}},
        transfers=["continue"],
        targets=["months"],
        seeds=[1],
        **changes,
    )


def refusal(planned: Planner, learns: dict[str, object], **changes: object) -> str:
    (reason,) = planned_with(planned, learns, **changes).refused.values()
    return reason


def test_they_change_what_is_learnt_and_nothing_else(planned: Planner) -> None:
    def id(**learns: object) -> str:
        return learnt(planned_with(planned, learns)).id

    plain = id()
    others = [
        id(batches={"monolingual": 0.5}),
        id(batches={"monolingual": 1}),
        id(batches={"monolingual": 0.5, "languages": "uniform"}),
        id(**{"with": TEXT}),
        id(**{"with": {**TEXT, "share": 0.25}}),
        id(**{"with": {**TEXT, "languages": "all"}}),
        id(sampling={"unimax": 2}),
        id(sampling={"language_temperature": "uniform"}),
    ]
    assert len({plain, *others}) == 1 + len(others)
    assert id(sampling={"unimax": None, "language_temperature": None}, batches=None, **{"with": None}) == plain


def test_text_is_learnt_beside_the_tasks(planned: Planner) -> None:
    stopping = {"early_stopping": {"every": 5, "patience": 2}}
    stage = learnt(planned_with(planned, {"with": TEXT}, train={"intermediate": stopping}))
    work = training(stage)
    assert [(part.task, part.languages) for part in work.tasks] == [("text", ("en", "fi")), ("units", ("de", "en"))]
    assert work.text_share == 0.2 and not work.paired and work.prefix == "exact"
    assert stage.settings["with"] == {"share": 0.2, "version": 1}


def test_trainings_with_other_turns_draw_other_batches(planned: Planner) -> None:
    own = {"tasks": "units", "languages": ["de", "en"]}
    plan = planned(
        intermediates={"a": {**own, "batches": {"monolingual": 0.5}}, "b": own}, transfers=["continue"], seeds=[1]
    )
    kinds = {stage.work.batches is None for stage in plan.stages.values() if stage.kind == "intermediate"}  # type: ignore[union-attr]
    assert kinds == {True, False}


@pytest.mark.parametrize(
    ("learns", "reason"),
    [
        ({"languages": "en", "batches": {"monolingual": 0.5}}, "learnt in en alone: give it more languages"),
        ({"tasks": "numbers", "batches": {"monolingual": 0.5}}, "the labels of a sentence are those of its own words"),
        ({"tasks": "nli", "batches": {"monolingual": 0}}, "do not name the same items in every language"),
        ({"with": {**TEXT, "task": "months"}}, "'months' under `with`, which is multiple-choice"),
        ({"with": {**TEXT, "languages": ["xx"]}}, "no language 'xx'"),
        ({"tasks": ["units", "text"], "with": {**TEXT, "task": "more-text"}}, "learns the text 'text' among its tasks"),
    ],
)
def test_where_they_cannot_be(learns: dict[str, object], reason: str, planned: Planner) -> None:
    assert reason in refusal(planned, learns)


@pytest.mark.parametrize("task", ["numbers", "nli"])
def test_batches_of_one_language_are_for_every_kind(task: str, planned: Planner) -> None:
    assert not planned_with(planned, {"tasks": task, "batches": {"monolingual": 1}}).refused


def test_a_target_takes_turns_too(planned: Planner) -> None:
    target = {"task": "units", "train_languages": ["de", "en"], "batches": {"monolingual": 0.3}}
    plan = planned(targets={"pairs": target}, intermediates={"none": None}, seeds=[1])
    stages = [stage for stage in plan.stages.values() if stage.kind == "target"]
    assert stages and all(training(stage).paired for stage in stages)
    alone = planned(targets={"pairs": {**target, "train_languages": "en"}}, intermediates={"none": None}, seeds=[1])
    assert all("the target 'pairs' has `batches`" in reason for reason in alone.refused.values()) and alone.refused


def test_a_misspelt_text_stops_the_plan(planned: Planner, tasks: FakeTasks, backbones: FakeBackbones) -> None:
    with pytest.raises(SettingError) as error:
        planned_with(planned, {"with": {"task": "tekst"}})
    assert [one.location for one in error.value.findings] == [("intermediates", "own", "with", "task")]


def test_steps_of_text_come_on_top_of_the_epochs(planned: Planner) -> None:
    epochs = {"intermediate": {"epochs": 2.0, "batch_size": 10}}
    alone = learnt(planned_with(planned, {}, train=epochs))
    beside = learnt(planned_with(planned, {"with": {**TEXT, "share": 0.5}}, train=epochs))
    # 2 languages of 320 examples; as many steps of text again.
    assert steps_of(training(alone), 640) == 128 and steps_of(training(beside), 640) == 256
    assert beside.cost.disk_bytes - 4 * beside.cost.trainable_parameters == 256 * LINE_BYTES


def test_pairs_need_something_to_train(planned: Planner) -> None:
    target = {"task": "names", "train_task": "questions"}
    plan = planned(
        methods={"lora": {"kind": "lora"}, "head": {"kind": "head"}},
        targets={"search": target},
        intermediates={"none": None},
        seeds=[1],
    )
    assert {cell.method for cell in plan.refused} == {"head"}
    assert all("learns pairs, for which there is no head" in reason for reason in plan.refused.values())
