"""The build of torch that is installed, and the device that it computes on, without importing it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from adapterx.machine.gpu import gpus

CPU = "cpu"


@dataclass(frozen=True)
class TorchBuild:
    """One installed torch."""

    version: str
    cuda: bool
    """Whether it was built for NVIDIA's GPUs."""


def torch_build() -> TorchBuild | None:
    """The torch that would be imported; None where there is none."""
    try:
        found = metadata.distribution("torch")
        told = Path(str(found.locate_file("torch/version.py"))).read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return None
    return parsed(told) or TorchBuild(found.version, cuda=False)


def parsed(text: str) -> TorchBuild | None:
    """The build that the text of `torch/version.py` tells of."""
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    cuda = re.search(r"^cuda\b[^=\n]*=\s*['\"]", text, re.MULTILINE)
    return None if version is None else TorchBuild(version[1], cuda is not None)


@lru_cache(maxsize=1)
def device_name() -> str:
    """The name of the GPU that a run uses, or `cpu`."""
    build = torch_build()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if build is None or not build.cuda or (visible is not None and visible.strip() in ("", "-1")):
        return CPU
    found = gpus()
    first = (visible or "0").partition(",")[0].strip()
    at = int(first) if first.isdecimal() else 0
    return found[at if at < len(found) else 0].name if found else CPU
