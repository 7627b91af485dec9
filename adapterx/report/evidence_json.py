"""The evidence for report.json: fractions instead of percentages, as everywhere there."""

from __future__ import annotations

from dataclasses import asdict

from adapterx.report.collect import Curve, Results
from adapterx.report.costs import Efficiency, GridCost
from adapterx.report.evidence import Evidence, LanguageStrip
from adapterx.report.learning import final
from adapterx.report.maps import Gain, Regret
from adapterx.report.statistics import Missing, Quantity
from adapterx.results.run_file import StageRef
from adapterx.store import JSON


def export(of: Evidence | None, results: Results) -> JSON:
    """All of it; None where nothing was computed."""
    if of is None:
        return None
    return {
        "ranks": [{**asdict(one.setting), **_named(one, "metric", "rank", "low", "high", "of")} for one in of.ranks],
        "variances": [{name: _number(part) for name, part in asdict(one).items()} for one in of.variances],
        "map": [_gain(one) for one in of.maps.gains],
        "regret": [_regret(one) for one in of.maps.regrets],
        "languages": [_strip(one) for one in of.strips],
        "cost": _cost(of.cost),
        "efficiency": [_efficiency(one) for one in of.efficiencies],
        "published": [asdict(one) for one in of.published],
        "learning": [_learning(ref, curve, results) for ref, curve in results.curves.items()],
        "calibration": [
            {**asdict(one.cell), "error": {code: _number(error) for code, error in one.calibration.items()}}
            for one in results.cells
            if one.calibration
        ],
    }


def _gain(one: Gain) -> JSON:
    return {
        **asdict(one.setting),
        "metric": one.metric,
        "gain": _quantity(one.gain),
        "trained_in": None if one.english is None else _quantity(one.english),
        "stands": one.marked,
        "target_training": one.target_training,
    }


def _regret(one: Regret) -> JSON:
    return {
        **_named(one, "backbone", "method", "transfer", "target"),
        "ranking": list(one.ranking),
        "regret": {f"{k}": _number(value) for k, value in one.regrets.items()},
    }


def _strip(one: LanguageStrip) -> JSON:
    return {
        **_named(one.gap.arm, "backbone", "method", "target"),
        "transfer": one.gap.transfer,
        "corpus": one.corpus.source,
        "gaps": [{**_named(entry, "language", "share", "seen"), "gap": _quantity(entry.gap)} for entry in one.entries],
    }


def _cost(of: GridCost) -> JSON:
    costs = ("seconds", "peak_memory_bytes", "trained_parameters", "bytes")
    return {
        **_named(of, "seconds", "one_by_one", "peak_memory_bytes", "bytes"),
        "cells": [{**asdict(one.cell), **_named(one, *costs)} for one in of.cells],
    }


def _efficiency(one: Efficiency) -> JSON:
    return {
        **asdict(one.setting),
        "metric": one.metric,
        "score": _quantity(one.score),
        **_named(one, "trained_parameters", "seconds"),
        "front": {"trained_parameters": one.small, "seconds": one.fast},
    }


def _learning(ref: StageRef, curve: Curve, results: Results) -> JSON:
    last = final(curve)
    return {
        "kind": ref.kind,
        "slug": ref.label,
        "final_loss": None if last is None else _number(last),
        "dev": [[step, _number(score)] for step, score in results.dev_scores.get(ref, ())],
    }


def _named(of: object, *names: str) -> dict[str, JSON]:
    """Attributes by their names."""
    return {name: _number(getattr(of, name)) for name in names}


def _quantity(quantity: Quantity) -> JSON:
    if isinstance(quantity, Missing):
        return {"missing": str(quantity)}
    return {key: _number(value) for key, value in asdict(quantity).items()}


def _number(value: JSON) -> JSON:
    """Six decimals: more would be noise of the machine's arithmetic."""
    return round(value, 6) + 0.0 if isinstance(value, float) else value
