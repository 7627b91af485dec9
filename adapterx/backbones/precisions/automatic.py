"""What `load: auto` comes to on this machine. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions.base import Precision
from adapterx.backbones.precisions.bfloat16 import BFloat16
from adapterx.backbones.precisions.float16 import Float16
from adapterx.backbones.precisions.float32 import Float32
from adapterx.backbones.precisions.int8_rows import Int8Rows
from adapterx.machine import kernels
from adapterx.machine.gpu import Gpu, gpus
from adapterx.machine.memory import memory

AUTO = "auto"
SHARE = 0.5
"""Of the memory: what weights may take, so that cells have room."""


@dataclass(frozen=True)
class Choice:
    """A precision, and why it was chosen."""

    precision: Precision
    reason: str


def choose(info: BackboneInfo, supposed: Gpu | None = None) -> Choice:
    """The fastest floating-point format of the device, or 8 bits where its weights leave cells too little memory.

    Args:
        supposed: a GPU in place of this machine's device.
    """
    gpu = supposed or next(iter(gpus()), None)
    fastest, why, total = _cpu() if gpu is None else _gpu(gpu)
    need = fastest.weights(info.embedding_parameters, info.layer_parameters)
    if total and need > SHARE * total:
        sizes = f"{need / 1e9:.1f} GB of weights in {fastest.name} are more than half of the {total / 1e9:.1f} GB"
        return Choice(Int8Rows(), f"{sizes} of memory there are")
    return Choice(fastest, why)


def _gpu(gpu: Gpu) -> tuple[Precision, str, int]:
    if gpu.at_least(8, 0):
        return BFloat16(), "the GPU multiplies it", gpu.total or 0
    return Float16(), "the GPU multiplies no bfloat16", gpu.total or 0


def _cpu() -> tuple[Precision, str, int]:
    total = memory().total or 0
    if kernels.multiplies_bfloat16():
        return BFloat16(), "the processor multiplies it", total
    return Float32(), "the processor multiplies no bfloat16", total
