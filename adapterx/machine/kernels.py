"""Which number formats the processor multiplies, by the instructions that the library's kernels may use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

from adapterx.machine.gpu import Gpu
from adapterx.machine.processor import processor

BFLOAT16 = ("avx512_bf16", "amx_bf16")
INT8 = ("avx512_vnni", "amx_int8")
_BEYOND = {
    "AVX2": ("avx512", "amx", "avx_vnni"),
    "AVX512_CORE": ("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx"),
    "AVX512_CORE_VNNI": ("avx512_bf16", "avx512_fp16", "amx"),
    "AVX512_CORE_BF16": ("avx512_fp16", "amx"),
    "AVX512_CORE_FP16": ("amx",),
}
"""Names of instructions, by their beginnings, that oneDNN leaves aside where ONEDNN_MAX_CPU_ISA is set to a key."""


@dataclass(frozen=True)
class Kernels:
    """What the device of a computation multiplies, on which it depends how weights and hidden states are kept."""

    gpu: bool
    bfloat16: bool
    int8: bool = False
    """Rows of 8-bit integers, by the engine itself."""

    @classmethod
    def of(cls, gpu: Gpu | None) -> Kernels:
        """Of a GPU, or of this machine's processor where there is none."""
        if gpu is not None:
            return cls(gpu=True, bfloat16=gpu.at_least(8, 0))
        return cls(gpu=False, bfloat16=multiplies_bfloat16(), int8=multiplies_int8())


def allowed(instructions: tuple[str, ...] | None) -> frozenset[str]:
    """Those of a processor's instruction sets that oneDNN is not told to leave aside."""
    beyond = _BEYOND.get(os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper(), ())
    return frozenset(name for name in instructions or () if not name.startswith(beyond))


def multiplies_bfloat16() -> bool:
    """Whether the processor has products of bfloat16: without them they are computed one number at a time."""
    return bool(allowed(_instructions()) & set(BFLOAT16))


def multiplies_int8() -> bool:
    """Whether the processor has products of 8-bit integers that pay."""
    return bool(allowed(_instructions()) & set(INT8))


@cache
def _instructions() -> tuple[str, ...] | None:
    return processor().instructions
