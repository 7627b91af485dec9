"""Memory as long runs and large loads need it, and none of the numbers that slow a processor down."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_TRIM, _MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc (malloc.h)."""
_GIBIBYTE = 1 << 30
_LARGE = 128 << 20
"""Bytes from which on a block is worth pages of its own: in a heap, its place is seldom used again whole."""
_APART = 1 << 20
_LARGEST = 32 << 20
"""The highest that glibc raises the second to by itself on 64 bits."""
_threshold = {"usual": _LARGEST}


def keep() -> None:
    """Let the allocator keep what a step frees, but for the largest blocks: handing it back and asking again costs a
    third of a small step.
    """
    _threshold["usual"] = _LARGE
    _set(_TRIM, _GIBIBYTE)
    _set(_MMAP, _LARGE)


@contextmanager
def large_apart() -> Iterator[None]:
    """Give every block from 1 MiB on pages of its own, which go back to the system when it is freed.

    For work that makes large passing copies beside smaller lasting ones: from one heap the lasting ones would be put
    into the holes of the passing ones, and double what a model takes.
    """
    _set(_MMAP, _APART)
    try:
        yield
    finally:
        _set(_MMAP, _threshold["usual"])


def hand_back() -> None:
    """Give pages that nothing uses back to the system."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _set(parameter: int, value: int) -> None:
    if libc := _glibc():
        libc.mallopt(parameter, value)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def flush_denormals() -> None:
    """Take numbers too small for a normal float as 0: softmax over a vocabulary makes them, products with them crawl.

    For threads that start from now on too, so call it before the first operation.
    """
    torch.set_flush_denormal(True)
