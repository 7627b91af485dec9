"""The devices that a run is to compute on, as a user names them. Needs no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Which GPUs a process sees, in which order: CUDA reads it when it starts, as does torch for ROCm."""

_REFUSED = {
    "mps": "Apple's GPUs (MPS) compute in other number formats, and nothing here is tested on them; `cpu` is what"
    " works",
    "xpu": "Intel's GPUs (XPU) have neither the attention kernel nor the recordings that steps rest on; `cpu` is what"
    " works",
}
_ROCM = ("rocm", "hip", "amd")


@dataclass(frozen=True)
class Device:
    """One device; the same may be named several times."""

    kind: Literal["cuda", "cpu"]
    number: int | None = None
    """Of a GPU, among those that the environment leaves visible; None for the first, and for a CPU."""

    def __str__(self) -> str:
        return self.kind if self.number is None else f"{self.kind}:{self.number}"

    def take(self) -> None:
        """Have this process, and those it starts, see no other GPU. To be called before torch asks for one."""
        if self.kind == "cpu":
            os.environ[VISIBLE] = ""
            return
        listed = [one.strip() for one in os.environ.get(VISIBLE, "").split(",") if one.strip()]
        number = self.number or 0
        if VISIBLE not in os.environ:
            os.environ[VISIBLE] = str(number)
        else:  # one that is not in the list is not there: no GPU is seen, and `executors.device.choose` says so
            os.environ[VISIBLE] = listed[number] if number < len(listed) else ""


def parsed(text: str) -> tuple[Device, ...]:
    """Devices joined by commas: `cpu`, `cuda`, `cuda:1`, or a GPU's number alone.

    ROCm's GPUs are torch's `cuda` too. Raises ValueError, for a user, for what is none of them.
    """
    return tuple(_device(name.strip().lower()) for name in text.split(","))


def _device(name: str) -> Device:
    kind = name.partition(":")[0]
    if kind in _REFUSED:
        raise ValueError(f"{name}: {_REFUSED[kind]}")
    if kind in _ROCM:
        raise ValueError(f"{name}: torch calls ROCm's GPUs cuda: write cuda:0, or 0")
    if name in ("cpu", "cuda"):
        return Device("cpu") if name == "cpu" else Device("cuda")
    if match := re.fullmatch(r"(?:cuda:)?(\d{1,4})", name):
        return Device("cuda", int(match[1]))
    raise ValueError(f"{name or 'nothing'} is no device: cpu, or GPUs by their numbers, as in 0,1")
