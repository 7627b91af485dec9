"""The page of a card: what was predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tools.gpu.check import FAILED, SKIPPED

_PER_CELL = "ms per cell and step"


def predictions() -> Mapping[str, float]:
    """Milliseconds per cell and step by the names of measurements, as the cost model has them; none without one.

    `tools/gpu_model.py` gives them by a function `predictions`.
    """
    if find_spec("tools.gpu_model") is None:
        return {}
    told = getattr(import_module("tools.gpu_model"), "predictions", None)
    return {} if told is None else dict(told())


def page(found: Mapping[str, Any], predicted: Mapping[str, float]) -> str:
    """Markdown of everything that was found."""
    versions = found.get("versions", {})
    title = versions.get("gpu", "a GPU")
    lines = [
        f"# {title if title != 'none' else 'A rehearsal without a GPU: its numbers mean nothing'}",
        "",
        f"`tools/gpu_check.py`, {datetime.now(UTC):%Y-%m-%d}: "
        + ", ".join(f"{name} {value}" for name, value in versions.items() if name != "gpu"),
        "",
        "## Steps",
        "",
        "Predicted are milliseconds per cell and step (`tools/gpu_model.py`); an empty place has no prediction.",
        "",
        "| | predicted | measured | ms per step | host ms | recorded | peak GB |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *_steps(found, predicted),
        "",
        "## Everything else",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_plain(value)} |" for name, value in found.items() if not _is_step(value) and not _went(name)),
    ]
    wrong = [f"- {name}: {value}" for name, value in found.items() if FAILED in name or SKIPPED in name]
    return "\n".join([*lines, "", "## Failed or left out", "", *(wrong or ["Nothing."])]) + "\n"


def card(found: Mapping[str, Any]) -> str:
    """The name of the page's file, of the GPU's."""
    name = str(found.get("versions", {}).get("gpu", "none"))
    return "rehearsal" if name == "none" else "-".join(name.lower().replace("/", " ").split())


def _steps(found: Mapping[str, Any], predicted: Mapping[str, float]) -> Iterator[str]:
    for name, value in found.items():
        if _is_step(value):
            asked = f"{predicted[name]:.2f}" if name in predicted else ""
            share = value.get("share of steps of recorded shapes", "")
            rest = (value["ms per step"], value["host ms per step"], share, value.get("peak GB", ""))
            yield f"| {name} | {asked} | {value[_PER_CELL]} | " + " | ".join(map(str, rest)) + " |"


def _is_step(value: Any) -> bool:
    return isinstance(value, Mapping) and _PER_CELL in value


def _went(name: str) -> bool:
    """Whether an entry tells how a phase went."""
    return name.rpartition(": ")[2] in (FAILED, SKIPPED, "seconds") or name == "versions"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
