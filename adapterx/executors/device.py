"""The machine that a run uses."""

from __future__ import annotations

import ctypes
import platform

import torch


def choose() -> str:
    """`cuda` where there is a GPU, else `cpu`, prepared for long runs of same-sized steps."""
    if torch.cuda.is_available():
        return "cuda"
    _keep_memory()
    return "cpu"


def _keep_memory() -> None:
    """Let the allocator keep what a step frees: handing it back and asking again costs a third of a small step.

    glibc only (`mallopt`, malloc.h): M_TRIM_THRESHOLD is -1, M_MMAP_THRESHOLD -3.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    gibibyte = 1 << 30
    libc.mallopt(-1, gibibyte)
    libc.mallopt(-3, gibibyte)
