"""What to learn from a GPU in twelve minutes, the most important first.

    python tools/gpu_check.py --out DIR                        # on a machine with one, from a checkout
    python tools/gpu_check.py --device cpu --quick --out DIR   # every phase on a CPU; its numbers mean nothing

It needs torch, transformers, peft, accelerate and numpy, pydantic and safetensors; no store, no data and no network. A
phase that fails leaves its trace in DIR and the others their turn; whatever is found is in DIR/results.json at once,
and DIR/<card>.md has it beside what `tools/gpu_model.py` predicts, if that is there (docs/how-to/gpu.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tools.gpu import ceilings, peer, right, speed
from tools.gpu.check import FAILED, Check, Phase
from tools.gpu.page import card, page, predictions

PHASES = (
    Phase("machine", ceilings.machine, 5),
    Phase("correct", right.correct, 30),
    Phase("sixteen", speed.sixteen, 40),
    Phase("attention", ceilings.attention, 20),
    Phase("peer", peer.peer, 60),
    Phase("more", speed.more, 40),
    Phase("prefix", speed.prefix, 30),
    Phase("evaluate", speed.evaluate, 25),
    Phase("large", speed.large, 60),
    Phase("xl", speed.xl, 75),
    Phase("precisions", speed.precisions, 60),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Look, and write the page; 1 if a phase failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), metavar="DIR", help="where results go")
    parser.add_argument("--budget", type=float, default=540.0, metavar="SECONDS", help="for everything (default 540)")
    parser.add_argument("--only", default="", metavar="PHASE", help=f"of {', '.join(one.name for one in PHASES)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, few steps")
    args = parser.parse_args(argv)
    check = Check(args.device, args.quick or args.device == "cpu", args.out, args.budget)
    check.out.mkdir(parents=True, exist_ok=True)
    check.run(PHASES, args.only)
    path = check.out / f"{card(check.found)}.md"
    path.write_text(page(check.found, predictions()), encoding="utf-8")
    print(path)
    return int(any(name.endswith(f": {FAILED}") for name in check.found))


if __name__ == "__main__":
    sys.exit(main())
