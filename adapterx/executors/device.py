"""The machine that a run uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from adapterx.allocator import flush_denormals, keep
from adapterx.engine.options import BUNDLE_CELLS, BUNDLE_ROWS, Options
from adapterx.plan import Capacity

_MEMORY_SHARE = 0.8
"""Of what is free: estimates are estimates, and what they miss is met by cutting batches finer."""


@dataclass(frozen=True)
class Machine:
    """A device with what a bundle on it may be, and how it is worked off."""

    device: str
    capacity: Capacity
    options: Options


def choose(workers: int = 1, memory: float | None = None, deterministic: bool = False) -> Machine:
    """A GPU where there is one, else the CPU, prepared for long runs of same-sized steps.

    Args:
        workers: threads that prepare batches.
        memory: gigabytes a bundle may take; most of what is free by default.
        deterministic: have every GPU kernel give the same bits each time, which some of the fastest do not.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        keep()
        flush_denormals()
    elif deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    limit = int(memory * 1e9) if memory is not None else int(_MEMORY_SHARE * free_memory(device))
    return Machine(device, Capacity(BUNDLE_CELLS[device], BUNDLE_ROWS[device], limit), Options(workers=workers))


def free_memory(device: str) -> int:
    """Bytes of memory that nothing uses now."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(free)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return 8 << 30
