"""What `load: auto` comes to on this machine. Asks torch only where there is a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from adapterx import machine
from adapterx.backbones.info import BackboneInfo
from adapterx.backbones.precisions.base import Precision
from adapterx.backbones.precisions.bfloat16 import BFloat16
from adapterx.backbones.precisions.float16 import Float16
from adapterx.backbones.precisions.float32 import Float32
from adapterx.backbones.precisions.int8_rows import Int8Rows

AUTO = "auto"
SHARE = 0.5
"""Of the memory: what weights may take, so that cells have room."""


@dataclass(frozen=True)
class Choice:
    """A precision, and why it was chosen."""

    precision: Precision
    reason: str


def choose(info: BackboneInfo) -> Choice:
    """The fastest floating-point format of the device, or 8 bits where its weights leave cells too little memory."""
    fastest, why, memory = _gpu() or _cpu()
    need = fastest.weights(info.embedding_parameters, info.layer_parameters, reordered=0)
    if memory and need > SHARE * memory:
        sizes = f"{need / 1e9:.1f} GB of weights in {fastest.name} are more than half of the {memory / 1e9:.1f} GB"
        return Choice(Int8Rows(), f"{sizes} of memory there are")
    return Choice(fastest, why)


def _gpu() -> tuple[Precision, str, int] | None:
    if not machine.has_gpu():
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    memory = torch.cuda.get_device_properties(0).total_memory
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return BFloat16(), "the GPU multiplies it", memory
    return Float16(), "the GPU multiplies no bfloat16", memory


def _cpu() -> tuple[Precision, str, int]:
    memory = machine.memory()
    if machine.multiplies_bfloat16():
        return BFloat16(), "the processor multiplies it", memory
    return Float32(), "the processor multiplies no bfloat16", memory
