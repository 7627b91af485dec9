"""The evidence for report.json: fractions instead of percentages, as everywhere there."""

from __future__ import annotations

from dataclasses import asdict

from adapterx.report.collect import Results
from adapterx.report.evidence import Evidence
from adapterx.report.learning import final
from adapterx.report.statistics import Missing, Quantity
from adapterx.store import JSON


def export(of: Evidence | None, results: Results) -> JSON:
    """All of it; None where nothing was computed."""
    if of is None:
        return None
    return {
        "ranks": [
            {
                **asdict(one.setting),
                "metric": one.metric,
                "rank": one.rank,
                "low": one.low,
                "high": one.high,
                "of": one.of,
            }
            for one in of.ranks
        ],
        "variances": [{name: _number(part) for name, part in asdict(one).items()} for one in of.variances],
        "map": [
            {
                **asdict(one.setting),
                "metric": one.metric,
                "gain": _quantity(one.gain),
                "trained_in": None if one.english is None else _quantity(one.english),
                "stands": one.marked,
                "target_training": one.target_training,
            }
            for one in of.maps.gains
        ],
        "regret": [
            {
                "backbone": one.backbone,
                "method": one.method,
                "transfer": one.transfer,
                "target": one.target,
                "ranking": list(one.ranking),
                "regret": {f"{k}": _number(value) for k, value in one.regrets.items()},
            }
            for one in of.maps.regrets
        ],
        "languages": [
            {
                **{axis: getattr(one.gap.arm, axis) for axis in ("backbone", "method", "target")},
                "transfer": one.gap.transfer,
                "corpus": one.corpus.source,
                "gaps": [
                    {
                        "language": entry.language,
                        "share": _number(entry.share),
                        "seen": entry.seen,
                        "gap": _quantity(entry.gap),
                    }
                    for entry in one.entries
                ],
            }
            for one in of.strips
        ],
        "cost": {
            "seconds": _number(of.cost.seconds),
            "one_by_one": _number(of.cost.one_by_one),
            "peak_memory_bytes": of.cost.peak_memory_bytes,
            "bytes": of.cost.bytes,
            "cells": [
                {
                    **asdict(one.cell),
                    "seconds": _number(one.seconds),
                    "peak_memory_bytes": one.peak_memory_bytes,
                    "trained_parameters": one.trained_parameters,
                    "bytes": one.bytes,
                }
                for one in of.cost.cells
            ],
        },
        "efficiency": [
            {
                **asdict(one.setting),
                "metric": one.metric,
                "score": _quantity(one.score),
                "trained_parameters": one.trained_parameters,
                "seconds": _number(one.seconds),
                "front": {"trained_parameters": one.small, "seconds": one.fast},
            }
            for one in of.efficiencies
        ],
        "published": [asdict(one) for one in of.published],
        "learning": [
            {
                "kind": ref.kind,
                "slug": ref.label,
                "final_loss": None if (last := final(curve)) is None else _number(last),
                "dev": [[step, _number(score)] for step, score in results.dev_scores.get(ref, ())],
            }
            for ref, curve in results.curves.items()
        ],
        "calibration": [
            {**asdict(one.cell), "error": {code: _number(error) for code, error in one.calibration.items()}}
            for one in results.cells
            if one.calibration
        ],
    }


def _quantity(quantity: Quantity) -> JSON:
    if isinstance(quantity, Missing):
        return {"missing": str(quantity)}
    return {key: _number(value) for key, value in asdict(quantity).items()}


def _number(value: JSON) -> JSON:
    """Six decimals: more would be noise of the machine's arithmetic."""
    return round(value, 6) + 0.0 if isinstance(value, float) else value
