"""From measured rounds to numbers: rates, ratios, shares, and how far losses lie apart. All of it plain JSON."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from adapterx.machine import cores
from tools.bench.flops import necessary
from tools.bench.runner import ROOT, Measured
from tools.bench.variants import Contender, Variant

PACKAGES = ("torch", "transformers", "peft", "accelerate", "adapters")
COMPARED = 10
"""Steps whose losses are compared: later, rounding amplified by training drowns what there is to see."""


def machine(device: str, rate: dict[str, Any]) -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "device": device,
        "processor": _processor(),
        "cores": cores(),
        "threads": rate["threads"],
        "gpu": rate["gpu"],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def default_name(found: dict[str, Any]) -> str:
    """A file name for a machine: its GPU, or how many cores it has."""
    if found["device"] == "cuda":
        return re.sub(r"[^a-z0-9]+", "-", found["gpu"].lower()).strip("-")
    return f"cpu-{found['cores']}-cores"


def commit() -> str | None:
    """Commit of this checkout, with a plus sign if adapterx or the benchmark differ from it."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "adapterx", "tools") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def summarise(variant: Variant, found: Sequence[Measured], rate: float) -> dict[str, Any]:
    """One variant's numbers.

    Args:
        rate: FLOP/s of the machine's matrix products.
    """
    by_name = {measured.contender.name: measured for measured in found}
    baseline = by_name.get(variant.baseline)
    return {
        "title": variant.title,
        "variant": {key: value for key, value in asdict(variant).items() if key != "contenders"},
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "contenders": {name: _contender(variant, measured, baseline, rate) for name, measured in by_name.items()},
    }


def _contender(variant: Variant, measured: Measured, baseline: Measured | None, rate: float) -> dict[str, Any]:
    result: dict[str, Any] = {"settings": asdict(measured.contender), "skipped": measured.skipped}
    if not measured.rounds:
        return result
    rounds = measured.rounds
    speed = median(_speed(one) for one in rounds)
    tokens = sum(one["tokens"] for one in rounds) / sum(one["examples"] for one in rounds)
    result |= {
        "examples_per_second": speed,
        "ms_per_example": 1e3 / speed,
        "cpu_ms_per_example": median(1e3 * one["cpu"] / one["examples"] for one in rounds),
        "tokens_per_example": tokens,
        "peak_memory_bytes": max(one["peak"] for one in measured.answers),
        "matmul_share": necessary(variant, measured.contender, tokens) * speed / rate,
        "rounds": [{key: one[key] for key in ("wall", "cpu", "examples", "tokens")} for one in rounds],
    }
    if measured.contender.prefix and measured.first:
        result["first_epoch_ms_per_example"] = 1e3 / _speed(measured.first)
    if baseline is not None and baseline.rounds:
        ratios = [_speed(own) / _speed(their) for own, their in zip(rounds, baseline.rounds, strict=False)]
        of = [_speed(one) for one in baseline.rounds[: len(rounds)]]
        result |= {"ratio": speed / median(of), "ratio_range": [min(ratios), max(ratios)]}
        result["difference"] = _difference(variant, measured, baseline)
    return result


def _speed(answer: dict[str, Any]) -> float:
    """Examples per second."""
    return float(answer["examples"] / answer["wall"])


def _difference(variant: Variant, own: Measured, other: Measured) -> dict[str, Any] | None:
    """Largest difference of the first losses, or of some scores, as a share of the largest of them.

    None where the work is not the same.
    """
    if own is other or not _same_work(variant, own.contender):
        return None
    pairs = [(a, b) for a, b in zip(_values(variant, own), _values(variant, other), strict=False)]
    if variant.work == "train":
        pairs = pairs[:COMPARED]
    if not pairs:
        return None
    scale = max(abs(b) for _, b in pairs)
    return {"largest": max(abs(a - b) for a, b in pairs) / scale, "values": len(pairs)}


def _same_work(variant: Variant, contender: Contender) -> bool:
    same_order = contender.batches != "grouped" or variant.work == "evaluate"
    return same_order and contender.dropout == 0.0


def _values(variant: Variant, measured: Measured) -> list[float]:
    answers = measured.answers[:1] if variant.work == "evaluate" else measured.answers
    return [value for answer in answers for value in answer["values"]]


def read(path: Path) -> dict[str, Any]:
    """Results of earlier runs, or none."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(path: Path, text: str) -> None:
    """Replace a file whole, so that an interrupted run leaves the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
