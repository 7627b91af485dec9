"""A plan as JSON, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from adapterx.pace.workload import FLOPS
from adapterx.plan import vocabulary
from adapterx.plan.bundles import USUAL, Capacity
from adapterx.plan.cells import Cell
from adapterx.plan.fit import peak
from adapterx.plan.memory import PeakMemory
from adapterx.plan.result import Plan
from adapterx.plan.schedule import bundled_seconds, looped_seconds, unsized
from adapterx.plan.stage import Cost, Stage
from adapterx.plan.states import DONE, State
from adapterx.store import JSON


def to_json(plan: Plan, current: Mapping[str, State], capacity: Capacity = USUAL) -> dict[str, JSON]:
    """Cells, stages with their states and costs, refusals and totals.

    Args:
        capacity: how much one bundle may be, for the time that bundles take.
    """
    left = [id for id in plan.stages if current[id].name not in DONE]
    calibration = plan.pace.calibration
    return {
        "adapterx": 1,
        "recipe": plan.recipe.name,
        "cells": [_cell(cell, plan) for cell in plan.cells],
        "stages": [_stage(stage, current[stage.id]) for stage in plan.stages.values()],
        "remarks": list(plan.remarks),
        "left_out": list(plan.left_out),
        "single_labels": list(plan.single_labels),
        "choices": list(plan.choices),
        "arms": [asdict(arm) | {"words": arm.words} for arm in plan.arms.arms],
        "unequal": list(plan.arms.unequal),
        "vocabulary": list(vocabulary.remarks(plan, [plan.stages[id] for id in left])),
        "naive_trainings": plan.naive_trainings,
        "flops": FLOPS,
        "calibration": None if calibration is None else calibration.measured.isoformat(),
        "bundled_seconds": None if unsized(plan, left) else bundled_seconds(plan, left, capacity),
        "looped_seconds": None if unsized(plan, plan.stages) else looped_seconds(plan),
        "gpu": None if plan.pace.gpu is None else plan.pace.gpu.name,
        "memory": None if (memory := peak(plan, left, capacity)) is None else _memory(memory),
    }


def _cell(cell: Cell, plan: Plan) -> dict[str, JSON]:
    stages = plan.cell_stages.get(cell)
    return {
        "cell": asdict(cell),
        "stages": asdict(stages) if stages else None,
        "refused": plan.refused.get(cell),
        "target_training": cell in plan.target_training,
    }


def _stage(stage: Stage, state: State) -> dict[str, JSON]:
    return {
        "kind": stage.kind,
        "slug": stage.label,
        "id": stage.id,
        "inputs": list(stage.inputs),
        "candidates": stage.candidates,
        "lane": stage.work.lane,
        "settings": stage.settings,
        "state": state.name,
        "reason": state.reason,
        "stale": [asdict(change) for change in state.stale],
        "cost": _cost(stage.cost),
    }


def _memory(memory: PeakMemory) -> dict[str, JSON]:
    return {
        "bytes": memory.bytes,
        "needed_bytes": memory.needed,
        "parts": dict(memory.parts),
        "mapped_bytes": memory.mapped,
    }


def _cost(cost: Cost) -> dict[str, JSON]:
    return {
        "trainable_parameters": cost.trainable_parameters,
        "shared_bytes": cost.shared_bytes,
        "own_bytes": cost.own_bytes,
        "memory": _memory(cost.memory.of()),
        "rows": cost.rows,
        "seconds": cost.seconds,
        "disk_bytes": cost.disk_bytes,
        "shared_seconds": cost.shared_seconds,
    }
