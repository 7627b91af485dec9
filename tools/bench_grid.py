"""adapterx against `Trainer` + `peft` and against `AdapterTrainer`: same work, taking turns, medians.

Run `python tools/bench_grid.py` from a checkout with torch, transformers, peft and accelerate installed; results go to
`reports/benchmarks/<machine>.md` and `.json`, variant after variant, beside those of earlier runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.bench import grid, ours
from tools.bench import results as numbers
from tools.bench.page import page
from tools.bench.runner import EFFORTS, QUICK, ask_rate, measure
from tools.bench.shapes import SHAPES
from tools.bench.variants import Variant, claims, variants

GRID_ROUNDS = 2
DEFAULT_SHAPES = {"cpu": "base,small", "cuda": "base"}


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code: 0 if every contender that could take part did."""
    args = _parser().parse_args(arguments)
    shapes = (args.shapes or DEFAULT_SHAPES[args.device]).split(",")
    unknown = sorted(set(shapes) - SHAPES.keys())
    if unknown:
        _parser().error(f"no shape {', '.join(unknown)}; there are {', '.join(SHAPES)}")
    chosen = [
        one
        for one in variants(args.device, shapes, partial(ours.planned, args.device), args.quick)
        if _wanted(one.name, args.only)
    ]
    if args.grid and not args.only:
        chosen = []
    if args.list:
        for variant in chosen:
            print(f"{variant.name:32} {variant.title}")
            print("".join(f"    {contender.name}\n" for contender in variant.contenders), end="")
        return 0
    if not chosen and not args.grid:
        _parser().error(f"no variant fits {args.only}; --list shows them")
    return _run(chosen, args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--shapes", metavar="A,B", help=f"of {', '.join(SHAPES)}; by default base,small or, on a GPU, base"
    )
    parser.add_argument(
        "--only", metavar="PATTERN", action="append", help="variants whose names fit, as in 'base/*/top4'"
    )
    parser.add_argument("--quick", action="store_true", help="a look at every kind of work; the ratios mean nothing")
    parser.add_argument("--grid", action="store_true", help="a whole grid against a loop over its cells, on the CPU")
    parser.add_argument("--rounds", type=int, metavar="R", help="rounds of turns (default 5)")
    parser.add_argument("--out", type=Path, default=Path("reports/benchmarks"), metavar="DIR")
    parser.add_argument(
        "--machine", metavar="NAME", help="name of the files written; by default the GPU's or cpu-N-cores"
    )
    parser.add_argument("--list", action="store_true", help="show the variants and stop")
    return parser


def _wanted(name: str, patterns: list[str] | None) -> bool:
    return patterns is None or any(fnmatch(name, pattern) or pattern in name for pattern in patterns)


def _run(chosen: list[Variant], args: argparse.Namespace) -> int:
    effort = QUICK if args.quick else EFFORTS[args.device]
    if args.rounds:
        effort = replace(effort, rounds=args.rounds)
    rate = ask_rate(args.device)
    machine = numbers.machine(args.device, rate)
    name = args.machine or numbers.default_name(machine) + ("-quick" if args.quick else "")
    path = args.out / f"{name}.json"
    failed = 0
    for variant in chosen:
        print(variant.title, flush=True)
        found = measure(variant, args.device, effort)
        summary = numbers.summarise(variant, found, rate["flops"])
        failed += sum((one["skipped"] or "").startswith("failed") for one in summary["contenders"].values())
        results = _results(path, name, machine, rate)
        results["variants"][variant.name] = summary
        _store(path, results, args.device)
        for contender, one in summary["contenders"].items():
            print(f"  {contender:44} {_line(one)}", flush=True)
    if args.grid:
        print("grid", flush=True)
        results = _results(path, name, machine, rate)
        results["grid"] = grid.measure(args.rounds or GRID_ROUNDS, args.quick)
        _store(path, results, args.device)
        print("\n".join(grid.lines(results["grid"])))
    print(f"results: {path.with_suffix('.md')}")
    return 1 if failed else 0


def _results(path: Path, name: str, machine: dict[str, Any], rate: dict[str, Any]) -> dict[str, Any]:
    """What is there from earlier variants and runs."""
    return {"variants": {}, **numbers.read(path), "name": name, "machine": machine, "rate": rate}


def _store(path: Path, results: dict[str, Any], device: str) -> None:
    numbers.write(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    numbers.write(path.with_suffix(".md"), page(results, claims(device, partial(ours.planned, device))))


def _line(one: dict[str, Any]) -> str:
    if "examples_per_second" not in one:
        return one["skipped"] or "not measured"
    ratio = f"{one['ratio']:6.2f}×" if "ratio" in one else "       "
    difference = f"  difference {one['difference']['largest']:.1e}" if one.get("difference") else ""
    return f"{one['ms_per_example']:9.3f} ms/example {ratio}  share {one['matmul_share']:.1%}{difference}"


if __name__ == "__main__":
    sys.exit(main())
