"""Memory of long runs: keeping it from step to step, and running out of it."""

from __future__ import annotations

import ctypes
import platform


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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on the host or on a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # torch's CPU allocator raises a plain RuntimeError; oneDNN, the CUDA runtime and cuBLAS have words of their own.
    words = (
        "DefaultCPUAllocator",
        "could not create a memory object",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",
    )
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
