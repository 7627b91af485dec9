"""A grid as one program against the loop that people write: stages planned, and wall time of a small instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tools.bench import grid_plan
from tools.bench.results import commit
from tools.bench.runner import ROOT


def measure(rounds: int, quick: bool) -> dict[str, Any]:
    """Plan the full grid, run the small one both ways in turns, and put both in numbers."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        full, small = directory / "full.yaml", directory / "small.yaml"
        full.write_text(grid_plan.FULL, encoding="utf-8")
        size = {"steps": 3, "limit": 4} if quick else {"steps": 60, "limit": 20}
        small.write_text(grid_plan.SMALL.format(**size), encoding="utf-8")
        times: list[dict[str, float]] = []
        for number in range(rounds):
            store, answers = directory / f"store-{number}", directory / f"answers-{number}.json"
            # 1 says that cells ended collapsed, as cells of few steps may; that all are stored is found out below.
            ours = _timed(["-m", "adapterx", "run", str(small), "--store", str(store)], accepted=1)
            naive = _timed(["-m", "tools.bench.naive", str(small), str(directory / f"tokens-{number}"), str(answers)])
            times.append({"adapterx": ours, "naive": naive})
            print(f"  round {number + 1}: adapterx {ours:.0f} s, loop {naive:.0f} s", flush=True)
        plan = grid_plan.plan_of(small)
        return {
            "full": grid_plan.counts(grid_plan.plan_of(full)),
            "small": grid_plan.counts(plan),
            "size": size,
            "times": times,
            "ratio": median(one["naive"] for one in times) / median(one["adapterx"] for one in times),
            "scores": _compared(grid_plan.scores(plan, store), json.loads(answers.read_text(encoding="utf-8"))),
            "commit": commit(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def lines(found: dict[str, Any]) -> list[str]:
    """The numbers in words."""
    full, small, scores = found["full"], found["small"], found["scores"]
    ratios = [one["naive"] / one["adapterx"] for one in found["times"]]
    return [
        "3 backbones × 3 intermediates × 2 regimes × 3 targets × 3 seeds: "
        f"{full['cells']} cells. The plan trains {full['intermediates']} intermediates and {full['targets']} targets,"
        f" {full['intermediates'] + full['targets']} trainings, each shared one once; a loop over the cells trains"
        f" {full['naive_trainings']} times, {full['naive_trainings'] / (full['intermediates'] + full['targets']):.2f}"
        " times as many.",
        "",
        f"Measured on {small['cells']} cells (2 backbones × 2 intermediates × 2 targets × 2 seeds,"
        f" {found['size']['steps']} steps each, 24 languages of {found['size']['limit']} items,"
        f" {small['intermediates'] + small['targets']} trainings against {small['naive_trainings']}): the loop over"
        f" `Trainer` + `peft` takes **{found['ratio']:.2f}×** the wall time of `adapterx run`"
        f" ({min(ratios):.2f}–{max(ratios):.2f} over {len(ratios)} rounds), start, loading and report included."
        f" {scores['equal']} of {scores['all']} accuracies (by cell and language) are the same; the largest"
        f" difference is {scores['largest']:.3f}.",
    ]


def _compared(ours: dict[str, dict[str, float]], naive: dict[str, dict[str, float]]) -> dict[str, Any]:
    """How far the accuracies of the two lie apart."""
    pairs = [(value, naive[cell][language]) for cell, of in ours.items() for language, value in of.items()]
    apart = [abs(a - b) for a, b in pairs]
    return {"all": len(pairs), "equal": sum(one < 1e-6 for one in apart), "largest": max(apart)}


def _timed(arguments: list[str], accepted: int = 0) -> float:
    """Wall seconds of a Python process, which must end with 0 or with the code accepted."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}
    started = time.perf_counter()
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, accepted):
        raise RuntimeError(f"{' '.join(arguments[:3])} failed: {(done.stdout + done.stderr)[-2000:]}")
    return time.perf_counter() - started
