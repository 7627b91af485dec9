"""How many stages go into a bundle, and which stand beside which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import pytest

from adapterx.plan import Capacity, Evaluation, Plan, Stage, Training, bundles
from tests.plan.conftest import Planner

ONE: dict[str, object] = {
    "backbones": {"small": "e5@6"},
    "methods": {"lora": {"kind": "lora"}},
    "intermediates": {"none": None},
    "targets": ["units"],
    "seeds": [1, 2, 3, 4, 5, 6],
}


def of(plan: Plan, kind: str) -> list[Stage]:
    return [stage for stage in plan.stages.values() if stage.kind == kind]


def sizes(plan: Plan, stages: Iterable[Stage], capacity: Capacity) -> list[int]:
    return [len(bundle) for bundle in bundles(plan, [stage.id for stage in stages], capacity)]


@pytest.mark.parametrize(
    ("rows", "expected"), [(None, [6]), (6.5, [6]), (5.9, [3, 3]), (2.0, [2, 2, 2]), (0.5, [1] * 6), (0.0, [1] * 6)]
)
def test_trainings_fill_the_rows_of_a_step(rows: float | None, expected: list[int], planned: Planner) -> None:
    plan = planned(**ONE)
    targets = of(plan, "target")
    (own,) = {stage.cost.rows for stage in targets}
    assert own == 32 * 32  # batch size times tokens
    capacity = Capacity(cells=16, rows=None if rows is None else int(rows * own))
    assert sizes(plan, targets, capacity) == expected


@pytest.mark.parametrize(
    ("room", "expected"), [(6.1, [6]), (3.0, [3, 3]), (1.0, [1] * 6), (0.1, [1] * 6), (-5, [1] * 6)]
)
def test_memory_is_the_backbone_once_and_every_cell(room: float, expected: list[int], planned: Planner) -> None:
    plan = planned(**ONE)
    targets = of(plan, "target")
    memory = targets[0].cost.memory
    whole = max(0, int(room))
    capacity = Capacity(memory=memory.of(whole).needed if whole else int(room))
    assert sizes(plan, targets, capacity) == expected


def test_the_smallest_limit_counts_and_the_largest_stage(planned: Planner) -> None:
    plan = planned(**ONE)
    targets = of(plan, "target")
    cost = targets[0].cost
    plenty = Capacity(16, 10 * cost.rows, cost.memory.of(10).needed)
    assert sizes(plan, targets, plenty) == [6]
    assert sizes(plan, targets, replace(plenty, cells=2)) == [2, 2, 2]
    assert sizes(plan, targets, replace(plenty, rows=3 * cost.rows)) == [3, 3]
    assert sizes(plan, targets, replace(plenty, memory=cost.memory.of(2).needed)) == [2, 2, 2]
    mixed = planned(**{**ONE, "targets": ["units", "months"], "seeds": [1, 2, 3]})
    targets = of(mixed, "target")
    (small, large) = sorted({stage.cost.rows for stage in targets})
    assert large == 4 * small  # four choices
    assert sizes(mixed, targets, Capacity(rows=2 * large)) == [2, 2, 2]


def test_rows_do_not_limit_evaluations_but_memory_does(planned: Planner) -> None:
    plan = planned(**ONE)
    evaluations = of(plan, "evaluation")
    assert sizes(plan, evaluations, Capacity(rows=1)) == [6]
    memory = evaluations[0].cost.memory
    assert sizes(plan, evaluations, Capacity(memory=memory.of(6).needed)) == [6]
    assert sizes(plan, evaluations, Capacity(memory=memory.of(1).needed - 1)) == [1] * 6


def test_the_candidates_of_a_pruned_stage_take_their_rows(planned: Planner) -> None:
    plan = planned(**ONE, train={"prune": {"learning_rates": [1e-4, 1e-3, 1e-2]}})
    targets = of(plan, "target")
    rows = targets[0].cost.rows
    assert rows == 3 * 32 * 32
    assert sizes(plan, targets, Capacity(cells=100, rows=2 * rows)) == [2, 2, 2]


def test_trainings_that_draw_the_same_batches_stand_side_by_side(planned: Planner) -> None:
    """What they start from may differ; so may rates and lengths of the phase before."""
    plan = planned(
        backbones={"small": "e5@6"},
        methods={"lora": {"kind": "lora"}},
        intermediates={"none": None, "en": {"tasks": ["units"]}, "multi": {"tasks": ["units"], "languages": "all"}},
        transfers=["continue"],
        targets=["months", "numbers"],
        seeds=[1, 2],
    )
    targets = of(plan, "target")
    assert len(targets) == 12
    ordered = [plan.stages[id] for bundle in bundles(plan, [stage.id for stage in targets]) for id in bundle]
    blocks = [key for key, _ in groupby(ordered, key=draws)]
    assert len(blocks) == len(set(blocks)) == 4, "each kind of batch in one block"
    assert [len(list(block)) for _, block in groupby(ordered, key=draws)] == [3] * 4
    in_threes = bundles(plan, [stage.id for stage in targets], Capacity(cells=3))
    assert all(len({draws(plan.stages[id]) for id in bundle}) == 1 for bundle in in_threes)


def draws(stage: Stage) -> tuple[object, ...]:
    assert isinstance(stage.work, Training)
    return (stage.work.tasks, stage.work.seed)


def test_evaluations_stand_by_their_texts_and_lowest_adapters(planned: Planner) -> None:
    plan = planned(
        backbones={"small": "e5@6"},
        methods={
            "everywhere": {"kind": "lora"},
            "top": {"kind": "lora", "layers": "top-2"},
            "same": {"kind": "bottleneck", "layers": [4, 5]},
            "one": {"kind": "bottleneck", "layers": [5]},
        },
        intermediates={"none": None},
        targets={"en": {"task": "units", "languages": ["en"]}, "all": "units", "months": "months"},
        seeds=[1, 2],
    )
    found = bundles(plan, [stage.id for stage in of(plan, "evaluation")])
    methods = {frozenset(plan.stages[id].coordinates.method for id in bundle) for bundle in found}
    assert methods == {frozenset({"everywhere"}), frozenset({"top", "same"}), frozenset({"one"})}
    assert sorted(map(len, found)) == [2] * 6 + [4] * 3
    for bundle in found:
        assert len({plan.stages[id].work for id in bundle}) == 1
        assert all(isinstance(plan.stages[id].work, Evaluation) for id in bundle)


def test_adapters_in_other_layers_are_another_structure(planned: Planner) -> None:
    plan = planned(
        **{**ONE, "methods": {"all": {"kind": "lora"}, "top": {"kind": "lora", "layers": "top-2"}}, "seeds": [1]}
    )
    assert sizes(plan, of(plan, "target"), Capacity()) == [1, 1]


def test_layers_that_an_encoder_lacks_refuse_its_cells_alone(planned: Planner) -> None:
    plan = planned(
        **{
            **ONE,
            "backbones": {"small": "e5@2", "base": "e5@6"},
            "methods": {"top": {"kind": "lora", "layers": "top-4"}, "list": {"kind": "lora", "layers": [1, 2]}},
            "seeds": [1],
        }
    )
    assert {(cell.method, cell.backbone): text for cell, text in plan.refused.items()} == {
        ("top", "small"): "the method 'top' wants adapters in top-4 of an encoder with 2 layers, the backbone 'small'",
        ("list", "small"): "the method 'list' wants adapters in layer 2 (counted from 0) of an encoder with 2 layers,"
        " the backbone 'small'",
    }
    assert len(of(plan, "target")) == 2
