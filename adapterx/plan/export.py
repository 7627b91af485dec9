"""A plan as JSON, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from adapterx.plan import cost
from adapterx.plan.cells import Cell
from adapterx.plan.result import Plan
from adapterx.plan.stage import Stage
from adapterx.plan.states import State
from adapterx.store import JSON


def to_json(plan: Plan, current: Mapping[str, State]) -> dict[str, JSON]:
    """Cells, stages with their states and costs, refusals and totals."""
    return {
        "adapterx": 1,
        "recipe": plan.recipe.name,
        "cells": [_cell(cell, plan) for cell in plan.cells],
        "stages": [_stage(stage, current[stage.id]) for stage in plan.stages.values()],
        "remarks": list(plan.remarks),
        "left_out": list(plan.left_out),
        "single_labels": list(plan.single_labels),
        "choices": list(plan.choices),
        "naive_trainings": plan.naive_trainings,
        "flops": cost.FLOPS,
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
        "cost": asdict(stage.cost),
    }
