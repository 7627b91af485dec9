"""Predicted against measured peak memory of small trainings and evaluations on a CPU, through the real command line.

Each case is a recipe of a few steps (`tools/memory_cases.py`). `adapterx plan --json` predicts the peak of the bundle
that takes the most; `adapterx run` does it in a process of its own, whose anonymous memory (`RssAnon` of Linux: pages
that no file backs) is read every few milliseconds. A checkpoint is written every second, so that what it takes is
measured too. Run `python tools/memory_prediction.py` from a checkout; results go to `reports/sizes/memory.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adapterx.plan.memory import PROCESS
from tools.bench.results import commit, write
from tools.bench.runner import ROOT
from tools.memory_cases import CASES, Case, prepare
from tools.time_prediction import PACKAGES, family

WITHIN = 0.15
_PAUSE = 0.004
"""Seconds between two looks at a process."""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", metavar="N,N", help="only these cases, counted from 0")
    parser.add_argument("--measured", type=Path, metavar="FILE", help="keep peaks in this file, and take those it has")
    parser.add_argument("--note", default="", metavar="TEXT", help="a sentence for the page")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "sizes" / "memory.md", metavar="FILE")
    args = parser.parse_args()
    chosen = range(len(CASES)) if args.cases is None else [int(number) for number in args.cases.split(",")]
    known: dict[str, int] = {}
    if args.measured is not None and args.measured.is_file():
        known = json.loads(args.measured.read_text(encoding="utf-8"))
    rows = []
    for number in chosen:
        case = CASES[number]
        with tempfile.TemporaryDirectory() as name:
            recipe = prepare(case, Path(name) / "case")
            memory = predicted(recipe)
            peak = known.get(repr(case)) or measured(recipe)
        known[repr(case)] = peak
        if args.measured is not None:
            args.measured.write_text(json.dumps(known), encoding="utf-8")
        rows.append({"case": case, "predicted": memory, "measured": peak})
        print(f"{case.name:28} {memory['bytes'] / 1e6:7.0f} MB {peak / 1e6:7.0f} MB", flush=True)
    write(args.out, page(rows, json.loads(_adapterx(ROOT, "doctor", "--json")), args.note))
    print(f"results: {args.out}")
    return 0


def predicted(recipe: Path) -> dict[str, Any]:
    """What a plan says of the bundle that takes the most."""
    told = _adapterx(recipe.parent, "plan", recipe, "--store", recipe.parent / "none", "--json")
    memory: dict[str, Any] = json.loads(told)["memory"]
    return memory


def measured(recipe: Path) -> int:
    """Bytes of anonymous memory at the peak of a run."""
    directory = recipe.parent
    arguments = ["run", str(recipe), "--store", str(directory / "store"), "--checkpoint-every", "1"]
    with (directory / "log").open("w+", encoding="utf-8") as log:
        command = [sys.executable, "-m", "adapterx", *arguments]
        running = subprocess.Popen(command, cwd=directory, env=_surroundings(directory), stdout=log, stderr=log)  # noqa: S603
        peak = 0
        while running.poll() is None:
            peak = max(peak, anonymous(running.pid))
            time.sleep(_PAUSE)
        log.seek(0)
        # 1 says that a cell is collapsed, as one of few steps may be.
        if running.returncode not in (0, 1):
            raise RuntimeError(f"adapterx run failed: {log.read()[-2000:]}")
    return peak


def anonymous(pid: int | str) -> int:
    """Bytes of a process's pages that no file backs; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    _, found, rest = status.partition("RssAnon:")
    return int(rest.split()[0]) << 10 if found else 0


def _surroundings(directory: Path) -> dict[str, str]:
    own = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "ADAPTERX_DATA": str(directory), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}


def _adapterx(directory: Path, *arguments: str | Path) -> str:
    """What a command prints; 1 is what a machine says that lacks something."""
    command = [sys.executable, "-m", "adapterx", *map(str, arguments)]
    done = subprocess.run(  # noqa: S603
        command, cwd=directory, env=_surroundings(directory), capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"adapterx {arguments[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def page(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any], note: str = "") -> str:
    """The results as Markdown."""
    errors = [abs(row["predicted"]["bytes"] / row["measured"] - 1) for row in rows]
    beyond = [_beyond(row) for row in rows]
    versions = ", ".join(f"{name} {found['libraries'][name]['version']}" for name in PACKAGES)
    today = datetime.now(UTC).date().isoformat()
    columns = (
        "method",
        "backbone",
        "`load`",
        "task",
        "length",
        "batch",
        "cells",
        "predicted, GB",
        "measured, GB",
        "ratio",
    )
    lines = [
        "# Predicted and measured memory",
        "",
        f"{family(found['processor']['model'])}, 1 thread; {versions};",
        f"commit {commit()}, {today}.",
        "",
        "Anonymous memory of `adapterx run` at its peak: what the system can neither drop nor read again from a file.",
        "Predicted: `adapterx plan --json`. Measured: `RssAnon`, read every few milliseconds, with a checkpoint every",
        "second. Texts of random words, their lengths up to 25 % around the mean, a few steps. Embedded and random",
        "encoders have the tokenizer and the vocabulary of XLM-R. Nothing of this says anything about a GPU.",
        *(["", note] if note else []),
        "",
        f"**{sum(one <= WITHIN for one in errors)} of {len(errors)} predictions are within {100 * WITHIN:.0f} %."
        f" The median difference is {100 * median(errors):.0f} %, the largest {100 * max(errors):.0f} %.**",
        f"Without the {rows[0]['predicted']['parts'][PROCESS] / 1e9:.2f} GB of a program that has done nothing yet, on",
        f"both sides: the median difference is {100 * median(beyond):.0f} %, the largest {100 * max(beyond):.0f} %.",
        "",
        f"| {' | '.join(columns)} |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        case: Case = row["case"]
        whole = row["predicted"]["bytes"]
        lines.append(
            f"| {case.name} | {case.encoder} | `{case.load}` | {case.task} | {case.length} | {case.batch} |"
            f" {case.seeds} | {whole / 1e9:.2f} | {row['measured'] / 1e9:.2f} | {whole / row['measured']:.2f} |"
        )
    return "\n".join([*lines, ""])


def _beyond(row: Mapping[str, Any]) -> float:
    """The relative difference of what comes on top of the program's own memory."""
    own = row["predicted"]["parts"][PROCESS]
    return float(abs((row["predicted"]["bytes"] - own) / (row["measured"] - own) - 1))


if __name__ == "__main__":
    sys.exit(main())
