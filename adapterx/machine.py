"""What this machine has. Depends on no other package, and imports no torch."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
NVIDIA = Path("/dev/nvidiactl")
_BEYOND = {
    "AVX2": ("avx512", "amx", "avx_vnni"),
    "AVX512_CORE": ("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx"),
    "AVX512_CORE_VNNI": ("avx512_bf16", "avx512_fp16", "amx"),
    "AVX512_CORE_BF16": ("avx512_fp16", "amx"),
    "AVX512_CORE_FP16": ("amx",),
}
"""Names of instructions, by their beginnings, that oneDNN leaves aside where ONEDNN_MAX_CPU_ISA is set to a key."""


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def instructions() -> frozenset[str]:
    """The processor's instruction sets as Linux names them (`avx2`, `avx512_bf16`), less those that oneDNN is told to
    leave aside; empty where they are not known.
    """
    beyond = _BEYOND.get(os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper(), ())
    return frozenset(name for name in _flags() if not name.startswith(beyond))


@cache
def _flags() -> frozenset[str]:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def memory() -> int:
    """Bytes of main memory, 0 where they are not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def has_gpu() -> bool:
    """Whether there is a device that torch may find usable; asking torch itself takes seconds."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") != "" and NVIDIA.exists()


def multiplies_bfloat16() -> bool:
    """Whether the processor has products of bfloat16: without them they are computed one number at a time."""
    return bool(instructions() & {"avx512_bf16", "amx_bf16"})


def multiplies_int8() -> bool:
    """Whether the processor has products of 8-bit integers that pay."""
    return bool(instructions() & {"avx512_vnni", "amx_int8"})
