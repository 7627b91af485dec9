"""Which kernels run on a device, and what takes their place where one fails.

A kernel computes what the library computes elsewhere, so a choice never enters a stage's identity. Callers ask `runs`,
try the kernel, and go on with the library's code on `KernelFailed`: in a forward pass at once; a failure on the way
back ends the step, which the bundle takes anew (`engine/bundle.py`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Literal, get_args

import torch

from adapterx.errors import AdapterxError
from adapterx.faults import is_out_of_memory

logger = logging.getLogger(__name__)

Name = Literal["attention", "ragged", "lora", "products", "gelu", "norm", "adamw", "dropout"]
NAMES: tuple[Name, ...] = get_args(Name)
"""attention: within short sequences. ragged: rows of cells one after another, padded in total only. lora: its products.
products: of packed rows with each cell's own weights. gelu: in the epilogue of products. norm: with the addition before
it, both ways. adamw: clipping and update of all cells. dropout: counted masks, recordable.
"""
VARIABLE = "ADAPTERX_KERNELS"
"""`none`; names to use alone, with commas between them; or names with a minus to leave out."""
CAPABILITY = (8, 0)
"""Lowest compute capability: bfloat16 in tensor cores."""

WIDEST = 256
"""Of a weight of a cell's own, the smaller side is at most this in `products`: larger ones gain by larger blocks."""


class UnknownKernel(AdapterxError):
    """The environment names a kernel that there is not."""


class KernelFailed(Exception):
    """A kernel could not be compiled or launched; it is not chosen any more."""


_failed: set[Name] = set()
_emulated: frozenset[Name] | None = None


def runs(name: Name, device: torch.device) -> bool:
    """Whether a kernel is to be used on a device: it is wanted, the device is capable, and it has not failed."""
    if name in _failed:
        return False
    if _emulated is not None:
        return name in _emulated
    return device.type == "cuda" and name in wanted(os.environ.get(VARIABLE, "")) and _capable(device)


@cache
def wanted(said: str) -> frozenset[Name]:
    """The kernels that a value of the environment variable leaves on; UnknownKernel for names that there are not."""
    given = [word.strip() for word in said.lower().split(",") if word.strip()]
    if given in ([], ["all"]):
        return frozenset(NAMES)
    if given == ["none"]:
        return frozenset()
    out = [word.startswith("-") for word in given]
    if strange := sorted({word.lstrip("-") for word in given} - set(NAMES)):
        raise UnknownKernel(f"{VARIABLE}: there is no kernel '{strange[0]}'; there are {', '.join(NAMES)}, or none")
    if any(out) and not all(out):
        raise UnknownKernel(f"{VARIABLE}: either names to use alone, or names with a minus to leave out, not both")
    named = {word.lstrip("-") for word in given}
    return frozenset(name for name in NAMES if (name in named) != all(out))


@cache
def _capable(device: torch.device) -> bool:
    """Whether Triton compiles for this GPU: NVIDIA's alone, as nobody has tried others."""
    return (
        torch.version.cuda is not None
        and torch.cuda.is_available()
        and torch.cuda.get_device_capability(device) >= CAPABILITY
        and find_spec("triton") is not None
    )


def emulating() -> bool:
    """Whether a CPU takes a GPU's ways, through Triton's interpreter: tests and the cost model do."""
    return _emulated is not None


@contextmanager
def emulated(names: Sequence[Name]) -> Iterator[None]:
    """Let CPUs take the GPU's ways, with these kernels; failures before and within count within alone.

    Triton's interpreter runs them where TRITON_INTERPRET was 1 before triton was imported.
    """
    global _emulated, _failed
    before = _emulated, _failed
    _emulated, _failed = frozenset(names), set()
    try:
        yield
    finally:
        _emulated, _failed = before


def failed(name: Name, reason: BaseException) -> None:
    """Choose a kernel no more in this process, and say why, once."""
    if name not in _failed:
        _failed.add(name)
        logger.warning(
            "the kernel '%s' failed (%s: %s); the library's code takes its place from here on",
            name,
            type(reason).__name__,
            str(reason).strip().split("\n", 1)[0],
        )


def leave(name: Name) -> None:
    """Choose a kernel no more in this process, as what it rests on is not there."""
    _failed.add(name)


@contextmanager
def guarded(name: Name) -> Iterator[None]:
    """Turn what goes wrong within into KernelFailed, and the kernel off. A lack of memory is none of its failures."""
    try:
        yield
    except KernelFailed:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        failed(name, error)
        raise KernelFailed(name) from error
