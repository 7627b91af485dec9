"""run.json: what a run asks for and where its stages are stored, so that a report needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from adapterx.plan import Cell, Plan
from adapterx.store import JSON
from adapterx.store.atomic import write_text

NAME = "run.json"


def write(directory: Path, plan: Plan, overrides: Sequence[str]) -> bool:
    """Write a run's run.json; returns whether it differs from what was there."""
    content: dict[str, JSON] = {
        "adapterx": 1,
        "recipe": plan.recipe.model_dump(mode="json"),
        "overrides": list(overrides),
        "cells": [_cell(plan, cell) for cell in plan.cells],
        "backbones": {name: _backbone(plan, name) for name in plan.backbones},
        "remarks": list(plan.remarks),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = directory / NAME
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    with suppress(OSError):
        path.rmdir()  # an empty directory in its place, which a damaged file system may leave
    write_text(path, text)
    return True


def _cell(plan: Plan, cell: Cell) -> dict[str, JSON]:
    coordinates = {name: getattr(cell, name) for name in cell.__dataclass_fields__}
    stages = plan.cell_stages.get(cell)
    if stages is None:
        return {"cell": coordinates, "stages": None, "refused": plan.refused[cell]}
    refs = {kind: _stage(plan, getattr(stages, kind)) for kind in ("intermediate", "target", "evaluation")}
    members: list[JSON] = [_stage(plan, id) for id in stages.members]
    more: dict[str, JSON] = {"members": members} if members else {}
    more |= {"target_training": True} if cell in plan.target_training else {}
    return {"cell": coordinates, "stages": refs, "refused": None, **more}


def _stage(plan: Plan, id: str | None) -> dict[str, JSON] | None:
    if id is None:
        return None
    stage = plan.stages[id]
    return {"kind": stage.kind, "slug": stage.slug, "id": stage.id}


def _backbone(plan: Plan, name: str) -> dict[str, JSON]:
    backbone, info = plan.recipe.backbones[name], plan.backbones[name]
    return {
        "model": backbone.model,
        "revision": backbone.revision,
        "key": info.key,
        "architecture": info.architecture,
        "layers": info.layers,
        "hidden": info.hidden,
        "intermediate": info.intermediate,
        "vocabulary": info.vocabulary,
    }
