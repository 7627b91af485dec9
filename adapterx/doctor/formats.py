"""Which number formats a machine multiplies fast, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapterx.machine import kernels
from adapterx.machine.gpu import Gpu
from adapterx.machine.processor import Processor


@dataclass(frozen=True)
class FastFormat:
    """How a machine stands with a number format."""

    by: tuple[str, ...]
    """The instructions, or the capability of the GPU, by which it is fast; none where it is not."""

    @property
    def fast(self) -> bool:
        return bool(self.by)


def fast(processor: Processor, gpu: Gpu | None) -> Mapping[str, FastFormat]:
    """The formats by name.

    Args:
        gpu: the one that torch computes on.
    """
    if gpu is None:
        return {
            "bfloat16": FastFormat(processor.has(*kernels.BFLOAT16)),
            "int8": FastFormat(processor.has(*kernels.INT8)),
            "fp8": FastFormat(()),
        }
    return {
        "bfloat16": FastFormat(_capability(gpu) if gpu.at_least(8, 0) else ()),
        # Of every GPU that today's CUDA knows.
        "int8": FastFormat(_capability(gpu) or (gpu.name,)),
        "fp8": FastFormat(_capability(gpu) if gpu.at_least(8, 9) else ()),
    }


def _capability(gpu: Gpu) -> tuple[str, ...]:
    return () if gpu.capability is None else (f"compute capability {gpu.capability[0]}.{gpu.capability[1]}",)
