"""A worker process: builds one contender, then works on the parent's word. `python -m tools.bench.worker`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from adapterx.allocator import keep
from tools.bench.session import Job, Session

RATE_SHAPES = {
    "cpu": [(512, 768, 768), (1024, 768, 3072), (2048, 1024, 1024), (1024, 1536, 384)],
    "cuda": [(8192, 4096, 4096), (16384, 2560, 10240), (32768, 1024, 4096), (32768, 768, 3072)],
}
"""(rows, in, out) of the products at hand; the best of them is the machine's rate."""


def main() -> None:
    """Read the job from standard input and do it."""
    # Libraries print what they like; the parent reads answers only.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    if "rate" in job:
        answers.write(json.dumps(rate(job["rate"])) + "\n")
        answers.flush()
        return
    _quiet()
    made = Job.from_json(job)
    if made.device == "cpu":
        # For peers as well: handing freed memory back after every step would cost them up to half of their speed.
        keep()
    session = Session(made.device, sys.stdin, answers)
    if made.contender.library == "adapterx":
        from tools.bench import ours

        ours.work(made, session)
    else:
        from tools.bench import peers

        peers.work(made, session)


def _quiet() -> None:
    import warnings

    warnings.filterwarnings("ignore")
    from transformers.utils import logging

    reports: Any = logging
    reports.set_verbosity_error()
    reports.disable_progress_bar()


def rate(device: str) -> dict[str, Any]:
    """FLOP/s of the best matrix product, fp32 on a CPU and bf16 on a GPU, with the device's name and threads."""
    import torch

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    best: dict[str, Any] = {"flops": 0.0, "shape": ""}
    for rows, inner, outer in RATE_SHAPES[device]:
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(inner, outer, device=device, dtype=dtype)
        found = max(_product_rate(left, right, device) for _ in range(5))
        if found > best["flops"]:
            best = {"flops": found, "shape": f"{rows} × {inner} × {outer}"}
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return {**best, "dtype": str(dtype).removeprefix("torch."), "gpu": name, "threads": torch.get_num_threads()}


def _product_rate(left: Any, right: Any, device: str) -> float:
    import torch

    def settle() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    times = 50 if device == "cuda" else 5
    torch.mm(left, right)
    settle()
    start = time.perf_counter()
    for _ in range(times):
        torch.mm(left, right)
    settle()
    return float(times * 2 * left.shape[0] * left.shape[1] * right.shape[1] / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
