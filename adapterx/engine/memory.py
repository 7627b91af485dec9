"""What long runs need of the machine: memory kept from step to step, and none of the numbers that slow it down."""

from __future__ import annotations

import ctypes
import platform

import torch


def keep() -> None:
    """Let the allocator keep what a step frees: handing it back and asking again costs a third of a small step.

    glibc only (`mallopt`, malloc.h): M_TRIM_THRESHOLD is -1, M_MMAP_THRESHOLD -3.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    gibibyte = 1 << 30
    libc.mallopt(-1, gibibyte)
    libc.mallopt(-3, gibibyte)


def flush_denormals() -> None:
    """Take numbers too small for a normal float as 0: softmax over a vocabulary makes them, products with them crawl.

    For threads that start from now on too, so call it before the first operation.
    """
    torch.set_flush_denormal(True)
