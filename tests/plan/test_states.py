from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterx.plan import Plan, Stage, State, ready, states
from adapterx.results import run_file
from adapterx.store import Failure, Record, Status, Store
from tests.plan.conftest import Planner
from tests.plan.fakes import FakeTasks

ONE: dict[str, object] = {
    "backbones": {"small": "e5@6"},
    "methods": {"lora": {"kind": "lora"}},
    "intermediates": {"multi": {"tasks": ["units"], "languages": ["en", "de"]}},
    "transfers": ["continue"],
    "targets": {"months": "months"},
    "seeds": [1],
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def commit(store: Store, stage: Stage, status: Status = "done", **result: str) -> Record:
    return store.commit(
        stage.kind,
        stage.label,
        stage.id,
        settings=stage.settings,
        inputs=stage.inputs,
        files={"adapter": b"x"},
        result=result,
        provenance={},
        status=status,
    )


def stage(plan: Plan, kind: str) -> Stage:
    (found,) = [stage for stage in plan.stages.values() if stage.kind == kind]
    return found


def by_kind(plan: Plan, store: Store) -> dict[str, State]:
    return {plan.stages[id].kind: state for id, state in states(plan, store).items()}


def reasons(plan: Plan, store: Store) -> dict[str, list[str]]:
    return {kind: [str(change) for change in state.stale] for kind, state in by_kind(plan, store).items()}


def test_an_empty_store_has_everything_to_do(planned: Planner, store: Store) -> None:
    plan = planned(**ONE)
    todo = {"intermediate": State("to-train"), "target": State("to-train"), "evaluation": State("to-evaluate")}
    assert by_kind(plan, store) == todo
    assert {plan.stages[id].kind: state for id, state in states(plan, None).items()} == todo
    assert not store.root.exists()


def test_stored_stages_make_the_next_ones_ready(planned: Planner, store: Store) -> None:
    plan = planned(**ONE)
    stored: set[str] = set()
    for kind, following in (("intermediate", "target"), ("target", "evaluation")):
        commit(store, stage(plan, kind))
        stored.add(stage(plan, kind).id)
        assert states(plan, store)[stage(plan, kind).id] == State("stored")
        assert ready(plan, stored) == [stage(plan, following).id]
        assert ready(plan, stored, {stage(plan, following).id}) == []
    assert ready(plan, plan.stages) == []


def test_a_diverged_stage_blocks_what_follows(planned: Planner, store: Store) -> None:
    plan = planned(**ONE)
    commit(store, stage(plan, "intermediate"), "diverged", message="loss nan at step 7")
    blocked = State("blocked", "intermediate small.lora.multi.seed1 diverged")
    assert by_kind(plan, store) == {
        "intermediate": State("diverged", "loss nan at step 7"),
        "target": blocked,
        "evaluation": blocked,
    }
    assert ready(plan, set(), {stage(plan, "intermediate").id}) == []


def test_a_failure_is_told_and_tried_again(planned: Planner, store: Store) -> None:
    plan = planned(**ONE)
    failed = stage(plan, "intermediate")
    store.fail(
        failed.kind, failed.label, failed.id, Failure("out-of-memory", "12 GB asked", "2026-01-01T00:00:00+00:00")
    )
    assert by_kind(plan, store)["intermediate"] == State("failed-before", "out-of-memory: 12 GB asked")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train": {"target": {"epochs": 2}}},
            {"intermediate": [], "target": ["train.epochs: 3 → 2"], "evaluation": ["target: train.epochs: 3 → 2"]},
        ),
        (
            {"train": {"intermediate": {"learning_rate": 1e-3}}},
            {
                "intermediate": ["train.learning_rate: 0.0001 → 0.001"],
                "target": ["intermediate: train.learning_rate: 0.0001 → 0.001"],
                "evaluation": ["target: intermediate: train.learning_rate: 0.0001 → 0.001"],
            },
        ),
        (
            {"evaluate": {"limit": 5}},
            {"intermediate": [], "target": [], "evaluation": ["limit: — → 5", "sample: — → hashed-1"]},
        ),
        (
            {"train": {"target": {"steps": 40, "early_stopping": {"every": 4, "patience": 2}}}},
            {
                "target": [
                    "train.steps: — → 40",
                    "train.early_stopping.every: — → 4",
                    "train.early_stopping.patience: — → 2",
                    "train.epochs: 3 → —",
                ]
            },
        ),
        (
            {"methods": {"lora": {"kind": "lora", "target_modules": ["query"]}}},
            {"intermediate": ["method.target_modules: [query, value] → [query]"]},
        ),
        (
            {"train": {"intermediate": {"prune": {"learning_rates": [1e-4, 1e-3], "rungs": [0.5]}}}},
            {
                "intermediate": [
                    "train.prune.learning_rates: — → [0.0001, 0.001]",
                    "train.prune.rungs: — → [0.5]",
                    "train.prune.keep: — → 0.5",
                    "train.learning_rate: 0.0001 → —",
                ]
            },
        ),
        (
            {"intermediates": {"multi": {"tasks": ["units"], "languages": ["en", "de", "fi"]}}},
            {"intermediate": ["tasks.units.languages: [de, en] → [de, en, fi]"]},
        ),
        ({"seeds": [2]}, {"intermediate": [], "target": [], "evaluation": []}),
    ],
)
def test_stale_stages_name_the_setting_that_changed(
    changes: dict[str, object], expected: dict[str, list[str]], planned: Planner, store: Store
) -> None:
    for one in planned(**ONE).stages.values():
        commit(store, one)
    found = reasons(planned(**{**ONE, **changes}), store)
    assert {kind: found[kind] for kind in expected} == expected


def test_changed_data_is_named(planned: Planner, store: Store, tasks: FakeTasks) -> None:
    commit(store, stage(planned(**ONE), "intermediate"))
    tasks.revision = "2"
    assert reasons(planned(**ONE), store)["intermediate"] == [
        "tasks.units.data: units embedded [('train', ('de', 'en'))] 1 → units embedded [('train', ('de', 'en'))] 2"
    ]


def test_an_input_that_is_gone_is_named_by_its_id(planned: Planner, store: Store) -> None:
    old, new = planned(**ONE), planned(**{**ONE, "train": {"intermediate": {"epochs": 1}}})
    commit(store, stage(old, "target"))
    before, after = stage(old, "intermediate").id[:12], stage(new, "intermediate").id[:12]
    assert reasons(new, store)["target"] == [f"intermediate: {before} → {after}"]


def test_the_newest_earlier_result_is_compared(planned: Planner, store: Store) -> None:
    for age, epochs in ((200, 5), (100, 4)):
        record = commit(store, stage(planned(**{**ONE, "train": {"epochs": epochs}}), "intermediate"))
        path = store.directory(record.kind, record.label, record.id) / "record.json"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert reasons(planned(**ONE), store)["intermediate"] == ["train.epochs: 4 → 3"]


def test_the_most_similar_earlier_result_is_compared(planned: Planner, store: Store) -> None:
    for age, train in ((200, {"epochs": 5}), (100, {"epochs": 4, "batch_size": 8, "learning_rate": 1e-3})):
        record = commit(store, stage(planned(**{**ONE, "train": train}), "intermediate"))
        path = store.directory(record.kind, record.label, record.id) / "record.json"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert reasons(planned(**ONE), store)["intermediate"] == ["train.epochs: 5 → 3"]


def test_stages_of_other_recipes_are_no_earlier_versions(planned: Planner, store: Store) -> None:
    other = planned(**{**ONE, "name": "other", "train": {"epochs": 5}})
    for one in other.stages.values():
        commit(store, one)
    stale = {"intermediate", "target", "evaluation"}
    changed = reasons(planned(**ONE), store)
    assert {kind for kind, found in changed.items() if found} == stale  # as far as anybody knows, ours
    run_file.write(store.run_directory("other"), run_file.of_plan(other, ()))
    assert not any(reasons(planned(**ONE), store).values())
    run_file.write(store.run_directory("gap"), run_file.of_plan(other, ()))  # once made for a run of ours too
    assert {kind for kind, found in reasons(planned(**ONE), store).items() if found} == stale


def test_a_damaged_list_of_another_run_is_passed_over(planned: Planner, store: Store) -> None:
    commit(store, stage(planned(**{**ONE, "train": {"epochs": 5}}), "intermediate"))
    for number, content in enumerate((b"", b"[" * 100_000, b'{"cells": [{"stages": 5}]}', b'{"cells": 3}', b"[]")):
        (store.run_directory(f"damaged{number}")).mkdir(parents=True)
        (store.run_directory(f"damaged{number}") / "run.json").write_bytes(content)
    assert reasons(planned(**ONE), store)["intermediate"] == ["train.epochs: 5 → 3"]


def test_damaged_stages_are_to_do_again(planned: Planner, store: Store) -> None:
    plan = planned(**ONE)
    record = commit(store, stage(plan, "intermediate"))
    (store.directory(record.kind, record.label, record.id) / "adapter").write_bytes(b"longer")
    assert by_kind(plan, store)["intermediate"] == State("to-train")
