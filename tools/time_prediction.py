"""Predicted against measured seconds of small trainings and evaluations, through the real command line.

Each case is a recipe of one cell. `adapterx plan --json` predicts its stages by the calibration of this machine, which
`adapterx doctor --calibrate` makes first unless there is one; `adapterx run` does them in a store of their own, round
after round, and records what each took. The last case is a small grid, whose time in bundles is predicted too. Times
are worth something only while nothing else runs: the page says how busy the machine was. Run
`python tools/time_prediction.py` from a checkout; results go to `reports/sizes/time.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import string
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adapterx.pace.calibration import BUSY
from tools.bench.results import commit, write
from tools.bench.runner import ROOT

WORDS = (
    *("the", "of", "and", "to", "in", "for", "is", "on", "that", "by", "this", "with", "you", "it", "not", "or"),
    *("be", "are", "from", "at", "as", "your", "all", "have", "new", "an", "was", "we", "will", "can", "us", "if"),
)
"""Each is one token of XLM-R's vocabulary."""
LETTERS = tuple(string.ascii_lowercase)
"""Each is two tokens of the wide encoder's vocabulary: where a word begins is one of its own."""
LABELS = ("no", "yes")
SPREAD = 0.25
EXAMPLES = 320
WIDE = "wide"
PACKAGES = ("torch", "transformers")


@dataclass(frozen=True)
class Case:
    """One recipe."""

    name: str
    backbone: str
    method: Mapping[str, Any]
    length: int
    """Mean tokens of a text."""
    batch: int
    steps: int
    items: int
    """Test items."""
    seeds: int = 1


LORA: Mapping[str, Any] = {"kind": "lora", "rank": 8, "alpha": 16}
BOTTLENECK: Mapping[str, Any] = {"kind": "bottleneck"}
HEAD: Mapping[str, Any] = {"kind": "head"}
CASES = (
    Case("LoRA", "embedded/e5-small@3", LORA, 16, 8, 30, 300),
    Case("LoRA", "embedded/e5-small@6", LORA, 64, 32, 3, 80),
    Case("LoRA", "embedded/e5-small", LORA, 32, 16, 6, 80),
    Case("LoRA", "embedded/e5-small", LORA, 256, 4, 4, 16),
    Case("LoRA, top 4 layers", "embedded/e5-small", {**LORA, "layers": "top-4"}, 64, 16, 8, 40),
    Case("LoRA", WIDE, LORA, 64, 16, 3, 60),
    Case("bottleneck", "embedded/e5-small@3", BOTTLENECK, 64, 16, 10, 150),
    Case("bottleneck", "embedded/e5-small", BOTTLENECK, 32, 8, 10, 80),
    Case("head", "embedded/e5-small@6", HEAD, 64, 16, 40, 80),
    Case("LoRA, 8 seeds", "embedded/e5-small@6", LORA, 16, 8, 6, 60, seeds=8),
)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="runs of each case (default 3)")
    parser.add_argument("--cases", type=int, default=len(CASES), metavar="N", help="only the first N cases")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "sizes" / "time.md", metavar="FILE")
    args = parser.parse_args()
    loads = [os.getloadavg()[0]]
    calibration = _calibration()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for number, case in enumerate(CASES[: args.cases]):
            row = measure(case, Path(name) / str(number), args.rounds)
            rows.append(row)
            loads.append(os.getloadavg()[0])
            for stage in row["stages"]:
                print(
                    f"{case.name:20} {stage['kind']:10} {stage['predicted']:7.2f} s {stage['measured']:7.2f} s",
                    flush=True,
                )
    write(args.out, page(rows, calibration, loads, args.rounds))
    print(f"results: {args.out}")
    return 0


def _calibration() -> dict[str, Any]:
    """What the times come from; made where there is none."""
    found = _doctor()
    if found["calibration"]["measured"] is None:
        _adapterx("doctor", "--calibrate", "--json", accepted=1)
        found = _doctor()
    return found


def _doctor() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_adapterx("doctor", "--json", accepted=1))
    return told


def measure(case: Case, directory: Path, rounds: int) -> dict[str, Any]:
    """The stages of a case, predicted and measured: medians over rounds."""
    directory.mkdir()
    recipe = prepare(case, directory)
    plan: dict[str, Any] = json.loads(_adapterx("plan", recipe, "--store", directory / "none", "--json"))
    measured: dict[str, list[float]] = {stage["id"]: [] for stage in plan["stages"]}
    totals: list[float] = []
    for number in range(rounds):
        store = directory / f"store-{number}"
        # 1 says that a cell is collapsed, as one of few steps may be.
        _adapterx("run", recipe, "--store", store, accepted=1)
        found = {record["id"]: record["provenance"]["seconds"] for record in _records(store)}
        for id, seconds in measured.items():
            seconds.append(found[id])
        totals.append(sum(found.values()))
    if case.seeds > 1:
        stages = [_row("in bundles", plan["bundled_seconds"], totals)]
    else:
        stages = [_row(_kind(one), one["cost"]["seconds"], measured[one["id"]]) for one in plan["stages"]]
    return {"case": case, "stages": stages}


def _row(kind: str, predicted: float, measured: Sequence[float]) -> dict[str, Any]:
    return {
        "kind": kind,
        "predicted": predicted,
        "measured": median(measured),
        "range": (min(measured), max(measured)),
    }


def _kind(stage: Mapping[str, Any]) -> str:
    return "evaluation" if stage["kind"] == "evaluation" else "training"


def prepare(case: Case, directory: Path) -> Path:
    """Write data, task and recipe of a case, and the wide encoder where it has that; returns the recipe."""
    draw = random.Random(0)  # noqa: S311  texts, no secrets
    data = directory / "data"
    data.mkdir()
    for split, count in {"train": EXAMPLES, "test": case.items}.items():
        lines = [f"{_text(case, draw)}\t{draw.choice(LABELS)}\n" for _ in range(count)]
        (data / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    splits = {split: {"paths": f"data/{split}.tsv"} for split in ("train", "test")}
    source = {"kind": "local", "reader": "tsv", "columns": {"text": 0, "label": 1}, "splits": splits}
    task = {
        "adapterx": 1,
        "name": "made",
        "description": "Words that mean nothing.",
        "format": "pair-classification",
        "labels": list(LABELS),
        "metrics": ["accuracy"],
        "languages": ["en"],
        "tokens": case.length,
        "licence": "none",
        "sources": {"local": source},
    }
    (directory / "made.yaml").write_text(json.dumps(task), encoding="utf-8")
    backbone = case.backbone
    if backbone == WIDE:
        from adapterx.doctor.points import write as write_encoder

        backbone = str(directory / "encoder")
        write_encoder(Path(backbone), 4)
    recipe = {
        "adapterx": 1,
        "name": "timed",
        "backbones": {"b": backbone},
        "methods": {"m": dict(case.method)},
        "intermediates": {"none": None},
        "transfers": ["continue"],
        "targets": ["made"],
        "seeds": list(range(1, 1 + case.seeds)),
        "train": {"batch_size": case.batch, "max_length": 512, "steps": case.steps, "learning_rate": 1e-3},
    }
    path = directory / "timed.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def _text(case: Case, draw: random.Random) -> str:
    """Words of about the case's length in tokens, <s> and </s> included."""
    length = round(case.length * draw.uniform(1 - SPREAD, 1 + SPREAD))
    words, each = (LETTERS, 2) if case.backbone == WIDE else (WORDS, 1)
    return " ".join(draw.choice(words) for _ in range(max(1, (length - 2) // each)))


def _records(store: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in store.glob("stages/*/*/record.json")]


def _adapterx(*arguments: str | Path, accepted: int = 0) -> str:
    """What a command prints, run beside its recipe if it has one."""
    recipe = next((one for one in arguments if isinstance(one, Path) and one.suffix == ".yaml"), None)
    here = ROOT if recipe is None else recipe.parent
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "ADAPTERX_DATA": str(here)}
    command = [sys.executable, "-m", "adapterx", *map(str, arguments)]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, accepted):
        raise RuntimeError(f"adapterx {arguments[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def page(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any], loads: Sequence[float], rounds: int) -> str:
    """The results as Markdown."""
    errors = [abs(stage["predicted"] / stage["measured"] - 1) for row in rows for stage in row["stages"]]
    within = sum(error <= 0.3 for error in errors)
    here, today = found["processor"], datetime.now(UTC).date().isoformat()
    versions = ", ".join(f"{name} {found['libraries'][name]['version']}" for name in PACKAGES)
    columns = ("method", "backbone", "length", "batch", "steps", "test items", "what", "predicted, s", "measured, s")
    lines = [
        "# Predicted and measured time",
        "",
        f"{family(here['model'])}, {here['cores']} cores, {_count(here['threads'], 'thread')}; {versions};",
        f"commit {commit()}, {today}.",
        "",
        "Predicted: `adapterx plan`, by the calibration that was made here on",
        f"{found['calibration']['measured']}. Measured: what `adapterx run` records, the median of {rounds} runs;",
        "loading the backbone and writing the report are not part of it. Texts of random words, their lengths up to",
        f"25 % around the mean; float32; {EXAMPLES} training examples. {_busy(loads, here['threads'])}",
        "",
        f"**{within} of {len(errors)} predictions are within 30 %. The median difference is",
        f"{100 * median(errors):.0f} %, the largest {100 * max(errors):.0f} %.**",
        "",
        f"| {' | '.join(columns)} | range | ratio |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        case = row["case"]
        backbone = "4 layers of 768, random" if case.backbone == WIDE else f"`{case.backbone}`"
        for stage in row["stages"]:
            low, high = stage["range"]
            lines.append(
                f"| {case.name} | {backbone} | {case.length} | {case.batch} | {case.steps} | {case.items} |"
                f" {stage['kind']} | {stage['predicted']:.2f} | {stage['measured']:.2f} | {low:.2f}–{high:.2f} |"
                f" {stage['predicted'] / stage['measured']:.2f} |"
            )
    return "\n".join([*lines, ""])


def _busy(loads: Sequence[float], threads: int) -> str:
    """How busy the machine was beside the runs, in a sentence."""
    most = max(loads[1:], default=loads[0])
    told = f"The load was {loads[0]:.1f} before the first run and at most {most:.1f} between runs"
    if loads[0] > BUSY or most > threads + BUSY:
        return f"{told}, where a run makes for {threads}: **other programs were at work**, which the ranges show."
    return f"{told}, where a run makes for {threads}: nothing else was at work."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def family(model: str) -> str:
    """A processor's maker and family, without its number."""
    words = re.sub(r"\((?:R|TM)\)|\b(?:CPU|Processor)\b|@.*", " ", model).split()
    named = list(takewhile(lambda word: not any(one.isdigit() for one in word), words))
    return " ".join(named) or "a processor of unknown family"


if __name__ == "__main__":
    sys.exit(main())
