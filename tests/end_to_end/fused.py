"""A run that brings two adapters together in several ways, on the embedded encoder and on a tiny one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODEL = "embedded/e5-small@1"
TRAIN = {"learning_rate": 1e-2, "batch_size": 4, "steps": 2, "limit": 12, "max_length": 32}


def recipe(small: Path) -> dict[str, Any]:
    """Trained alone (`none`), `latest` and `match` are what the intermediates `time` and `items` are."""
    return {
        "adapterx": 1,
        "name": "fused",
        "backbones": {"e5": MODEL, "small": str(small)},
        "methods": {"seq": {"kind": "bottleneck", "reduction_factor": 8}},
        "intermediates": {
            "none": None,
            "time": {"tasks": "time-latest"},
            "items": {"tasks": "place-match"},
            "both": {"members": ["time", "items"]},
        },
        "transfers": {
            "fusion": {"kind": "fuse"},
            "low": {"kind": "fuse", "value_rank": 4},
            "mean": {"kind": "merge"},
            "above": {"kind": "stack"},
        },
        "targets": {
            name: {"task": task, "languages": ["de"]}
            for name, task in {"order": "time-order", "latest": "time-latest", "match": "place-match"}.items()
        },
        "train": TRAIN,
        "evaluate": {"limit": 4, "bootstrap": 100},
        "skip": [
            {"intermediates": "items"},
            {"intermediates": "none", "targets": "order"},
            {"intermediates": ["time", "both"], "targets": ["latest", "match"]},
            {"intermediates": "time", "transfers": ["fusion", "low", "mean"]},
            {"intermediates": "both", "transfers": "above"},
        ],
    }
