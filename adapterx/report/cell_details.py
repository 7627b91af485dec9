"""What the page shows of a single cell, as a value for its script: scores, curves, confusions, answers, its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from adapterx.report.analysis import Analysis
from adapterx.report.collect import CellResult
from adapterx.report.curve_figure import smooth
from adapterx.report.languages import language
from adapterx.report.seen_answers import SHOWN, SeenAnswers, SeenItem
from adapterx.report.texts import TargetTexts
from adapterx.results import training
from adapterx.results.provenance import MeasuredCost
from adapterx.results.run_file import StageRef
from adapterx.store import JSON
from adapterx.tasks.metrics import unit

MOST_ITEMS = 60_000
"""Answers on one page; a grid of more shows fewer of each cell and language."""
FEW_LABELS = 4
"""More labels than these have confusions over groups of languages, not of each."""


def cell_details(analysis: Analysis, texts: Mapping[str, TargetTexts]) -> dict[str, JSON]:
    """Everything the dialog of a cell needs. Scores are in their unit, rounded as a page needs them."""
    results = analysis.results
    codes = sorted({code for facts in results.targets.values() for code in facts.languages})
    refs = list(dict.fromkeys(ref for one in results.run.cells for ref in one.stages))
    places = {ref: place for place, ref in enumerate(refs)}
    by_cell: dict[str, list[JSON]] = {}
    for score in analysis.cells:
        factor, one = unit(score.metric).factor, score.estimate
        values = [round(factor * value, 2) for value in (one.value, one.low, one.high)]
        by_cell.setdefault(score.result.cell.label, []).append([score.language, score.metric, *values, score.items])
    planned = {one.cell: one for one in results.run.cells}
    sides = _per_side(results.cells)
    return {
        "run": results.run.name,
        "recipe": dict(results.run.recipe),
        "languages": {code: _language(code) for code in codes},
        "targets": {name: _target(analysis, name, texts.get(name, TargetTexts())) for name in results.targets},
        "stages": [_stage(analysis, ref) for ref in refs],
        "cells": [
            {
                **asdict(one.cell),
                "label": one.cell.label,
                "status": one.status,
                "message": one.message,
                "verdict": analysis.judgements[one.cell].words if one.cell in analysis.judgements else "",
                "stages": [places[ref] for ref in planned[one.cell].stages],
                "scores": by_cell.get(one.cell.label, []),
                "confusions": _confusions(one.seen, analysis.results.targets[one.cell.target].sources)
                if one.seen
                else [],
                "items": _items(one.seen, sides) if one.seen else {},
            }
            for one in results.cells
        ],
    }


def _language(code: str) -> JSON:
    one = language(code)
    return {"name": one.name, "family": one.family, "script": one.script, "rtl": one.right_to_left}


def _target(analysis: Analysis, name: str, texts: TargetTexts) -> JSON:
    facts = analysis.results.targets[name]
    shown = next((one.seen for one in analysis.results.cells if one.cell.target == name and one.seen), SeenAnswers())
    return {
        "task": facts.task,
        "metrics": list(facts.metrics),
        "sources": list(facts.sources),
        "labels": list(shown.labels),
        "sought": shown.sought,
        "texts": {code: {id: list(parts) for id, parts in found.items()} for code, found in texts.texts.items()},
        "without": texts.missing,
    }


def _stage(analysis: Analysis, ref: StageRef) -> JSON:
    """A stage's facts; of a training its curve, as its page draws it."""
    found: dict[str, JSON] = {"kind": ref.kind, "label": ref.label, "id": ref.id[:12]}
    record = analysis.results.stages.get(ref)
    if record is not None:
        cost = MeasuredCost.of(record)
        facts: dict[str, JSON] = {
            "status": record.status,
            "seconds": cost.seconds,
            "trained": cost.trained_parameters,
            "together": cost.trained_together,
            "memory": cost.peak_memory_bytes,
            "steps": training.number(record.result.get("steps")),
        }
        found |= {key: value for key, value in facts.items() if value is not None}
    if curve := analysis.results.curves.get(ref):
        steps, losses = smooth(curve)
        found["curve"] = [np.round(steps, 1).tolist(), np.round(losses, 4).tolist()]
    return found


def _confusions(seen: SeenAnswers, sources: Sequence[str]) -> JSON:
    """Names of languages, or of groups of them, with their counts."""
    if len(seen.labels) <= FEW_LABELS:
        return [[code, [list(row) for row in counts]] for code, counts in seen.confusions.items()]
    groups = {"source": [code for code in seen.confusions if code in sources]}
    groups["other languages"] = [code for code in seen.confusions if code not in sources]
    return [
        [name, np.sum([seen.confusions[code] for code in codes], axis=0).tolist()]
        for name, codes in groups.items()
        if codes
    ]


def _per_side(cells: Sequence[CellResult]) -> int:
    """How many right and how many wrong answers of each cell and language there is room for."""
    pairs = sum(2 * len(one.seen.items) for one in cells if one.seen)
    return min(SHOWN, max(1, MOST_ITEMS // pairs)) if pairs else SHOWN


def _items(seen: SeenAnswers, sides: int) -> JSON:
    found: dict[str, JSON] = {}
    for code, items in seen.items.items():
        kept = [one for right in (False, True) for one in [item for item in items if item.right == right][:sides]]
        found[code] = [_item(one) for one in kept]
    return found


def _item(one: SeenItem) -> JSON:
    return [one.id, _answer(one.gold), _answer(one.prediction), int(one.right)]


def _answer(value: object) -> JSON:
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else list(value)
    if isinstance(value, float):
        return round(value, 4)
    return str(value)
