"""Every method with every transfer on both architectures: the recipe that asks for all, and the table of what came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ARCHITECTURES = {"post-LN": "xlm-roberta", "pre-LN": "xlm-roberta-xl"}
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"kind": "lora", "rank": 4},
    "sequential": {"kind": "bottleneck", "reduction_factor": 4},
    "double": {"kind": "bottleneck", "placement": "double", "reduction_factor": 4},
    "parallel": {"kind": "bottleneck", "placement": "parallel"},
    "invertible": {"kind": "bottleneck", "reduction_factor": 4, "invertible": "nice"},
    "adapter-drop": {"kind": "bottleneck", "reduction_factor": 4, "adapter_drop": 2},
    "ia3": {"kind": "ia3"},
    "full": {"kind": "full"},
    "head": {"kind": "head"},
}
INTERMEDIATES: dict[str, Any] = {
    "none": None,
    "one": {"tasks": "time-order"},
    "two": {"tasks": "place-match"},
    "several": {"members": ["one", "two"]},
    "languages": {
        "tasks": "cldr-text",
        "languages": ["en", "de"],
        "per_language": True,
        "method": {"kind": "bottleneck", "reduction_factor": 4, "invertible": "nice"},
    },
}
ARITHMETIC = ("linear", "ties", "dare_linear", "dare_ties", "svd", "cat", "average", "task_arithmetic", "product")
TRANSFERS: dict[str, Any] = {
    "continue": {"kind": "continue"},
    "stack": {"kind": "stack"},
    "fuse": {"kind": "fuse"},
    "fuse-low-rank": {"kind": "fuse", "value_rank": 2},
    **{f"merge-{name}": {"kind": "merge", "method": name} for name in ARITHMETIC},
}


def recipe(backbones: dict[str, Path]) -> dict[str, Any]:
    """All of it, two steps each."""
    return {
        "adapterx": 1,
        "name": "support",
        "backbones": {name: str(path) for name, path in backbones.items()},
        "methods": METHODS,
        "intermediates": INTERMEDIATES,
        "transfers": TRANSFERS,
        "skip": [
            {"intermediates": ["two"]},
            {"intermediates": ["one"], "transfers": [*TRANSFERS][3:]},
            {"intermediates": ["several"], "transfers": ["stack"]},
            {"intermediates": ["languages"], "transfers": [*TRANSFERS][2:]},
        ],
        "targets": {"latest": {"task": "time-latest", "languages": ["en", "de"]}},
        "train": {"learning_rate": 1e-2, "batch_size": 4, "steps": 2},
        "evaluate": {"limit": 4, "bootstrap": 100},
    }


def table(cells: list[dict[str, Any]]) -> str:
    """Markdown: a row per way of transfer, a column per method, each with both architectures; reasons below.

    Args:
        cells: of a plan's JSON.
    """
    ways = list(dict.fromkeys(_way(cell["cell"]) for cell in cells))
    reasons: list[str] = []
    lines = [
        f"| transfer | {' | '.join(f'`{method}`' for method in METHODS)} |",
        f"|---|{'---|' * len(METHODS)}",
        *(f"| {way} | {' | '.join(_entry(cells, method, way, reasons) for method in METHODS)} |" for way in ways),
    ]
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def _way(cell: dict[str, Any]) -> str:
    if cell["transfer"] == "none":
        return "none"
    what = {"several": "several", "languages": "one per language"}.get(cell["intermediate"], "one")
    return f"`{cell['transfer']}` of {what}"


def _entry(cells: list[dict[str, Any]], method: str, way: str, reasons: list[str]) -> str:
    found = {}
    for cell in cells:
        if cell["cell"]["method"] == method and _way(cell["cell"]) == way:
            found[cell["cell"]["backbone"]] = _mark(cell["refused"], reasons)
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{backbone}: {mark}" for backbone, mark in found.items())


def _mark(refused: str | None, reasons: list[str]) -> str:
    if refused is None:
        return "yes"
    for name in (*METHODS, *ARCHITECTURES, *TRANSFERS, *INTERMEDIATES):
        refused = refused.replace(f"'{name}'", "…")
    for name in ARITHMETIC:
        refused = refused.replace(f"merges by {name},", "merges by an arithmetic")
    if refused not in reasons:
        reasons.append(refused)
    return f"no ({reasons.index(refused) + 1})"
