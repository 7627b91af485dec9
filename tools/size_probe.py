"""XLM-R's sizes with random weights in every precision of this device: loading, memory, speed, error.

Each size has the true shapes of its layers and its whole embedding table; XL may be cut to some layers, which the page
says (`--layers xl=4`). A checkpoint is written once per size, in shards, and each precision then runs in a process of
its own: seconds and peak memory of loading; tokens per second of training LoRA and of evaluating, with their peak
memory; the distance of hidden states, of logits of a random head and of the adapters' gradients to those of float32.
Random weights tell nothing of a trained model's outliers, so the embedded backbone, which was trained, is measured too.

Memory is anonymous memory (RssAnon), sampled; on a GPU what its allocator held at most. Times are worth something only
while nothing else runs. Run `python tools/size_probe.py` from a checkout; results go to `reports/sizes/`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adapterx.backbones.precisions import DEFAULT, PRECISIONS
from tools.bench.results import write
from tools.bench.runner import ROOT
from tools.sizes import page
from tools.sizes.shapes import EMBEDDED, SIZES, Size

WORKER = (sys.executable, "-m", "tools.sizes.worker")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=(EMBEDDED, *SIZES), default=[EMBEDDED, "base", "large", "xl"])
    parser.add_argument("--layers", nargs="*", default=["xl=4"], metavar="SIZE=N", help="only the first N layers")
    parser.add_argument("--precisions", nargs="+", choices=tuple(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None, help="by default a GPU where there is one")
    parser.add_argument("--scratch", type=Path, default=None, metavar="DIR", help="where checkpoints are written")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "sizes", metavar="DIR")
    args = parser.parse_args()
    cut = dict(one.split("=") for one in args.layers)
    load = os.getloadavg()[0]
    rows: list[dict[str, Any]] = []
    for name in args.sizes:
        layers = int(cut[name]) if name in cut else None
        with tempfile.TemporaryDirectory(dir=args.scratch) as directory:
            rows += probe(name, layers, args.precisions, args.device, Path(directory))
    found = page.machine(rows, load)
    target = args.out / f"{page.file_name(found)}.json"
    write(target.with_suffix(".md"), page.text(rows, found))
    write(target, json.dumps({"machine": found, "rows": rows}, indent=1) + "\n")
    print(f"results: {target.with_suffix('.md')}")
    return 0


def probe(
    name: str, layers: int | None, precisions: Sequence[str], device: str | None, directory: Path
) -> list[dict[str, Any]]:
    """One size in every precision that this device runs; float32, with which the others are compared, comes first.

    Args:
        layers: only so many of them.
        directory: an empty one, for the checkpoint and what is compared.
    """
    size = None if name == EMBEDDED else Size.of(name, layers)
    if size is not None:
        size.write(directory / "model")
    model = EMBEDDED if size is None else str(directory / "model")
    whole, rows = None if size is None else size.whole, []
    for precision in (DEFAULT, *(one for one in precisions if one != DEFAULT)):
        job = {"model": model, "precision": precision, "device": device, "exact": str(directory / "exact.safetensors")}
        done = subprocess.run(  # noqa: S603 -- this interpreter and our own module
            [*WORKER, json.dumps(job)], capture_output=True, text=True, cwd=ROOT, check=False
        )
        last = done.stdout.strip().rpartition("\n")[2]
        told = json.loads(last) if done.returncode == 0 else {"failed": done.stderr.strip().rpartition("\n")[2][-300:]}
        rows.append({"size": name, "layers": layers, "whole": whole, "precision": precision, **told})
        print(page.line(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
