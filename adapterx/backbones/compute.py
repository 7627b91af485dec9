"""In which number format hidden states are computed on a device, and which precisions a device runs at all."""

from __future__ import annotations

import torch

from adapterx.backbones.errors import BackboneError
from adapterx.backbones.precisions.base import Precision
from adapterx.machine import kernels


def hidden_format(rest: torch.dtype, device: torch.device) -> torch.dtype:
    """The format of hidden states, from that of the embeddings.

    bfloat16 where the machine multiplies it, else float32: it is slower by far where products are emulated. float16 has
    too narrow a range for hidden states.
    """
    if rest == torch.float16:
        return torch.float32
    if rest != torch.bfloat16:
        return rest
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else _on_cpu()
    return torch.bfloat16 if fast else torch.float32


def _on_cpu() -> bool:
    return kernels.multiplies_bfloat16() and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def check_device(precision: Precision, device: torch.device, name: str) -> None:
    """Raise BackboneError for a precision that the device cannot multiply."""
    if precision.capability == (0, 0):
        return
    needed = ".".join(map(str, precision.capability))
    if device.type != "cuda":
        found = "this machine has none that torch can use"
    elif torch.cuda.get_device_capability(device) >= precision.capability:
        return
    else:
        there = ".".join(map(str, torch.cuda.get_device_capability(device)))
        found = f"{torch.cuda.get_device_name(device)} has {there}"
    raise BackboneError(
        f"{name}: load: {precision.name} needs a GPU of compute capability {needed} or higher, and {found}; int8-rows "
        "runs everywhere"
    )
