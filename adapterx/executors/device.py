"""The machine that a run uses."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch

from adapterx.allocator import flush_denormals, keep
from adapterx.engine.options import BUNDLE_CELLS, BUNDLE_ROWS, MEMORY_SHARE, Options
from adapterx.errors import AdapterxError
from adapterx.machine.devices import Device
from adapterx.machine.memory import memory as main_memory
from adapterx.plan import Capacity

_GUESS = 8 << 30
"""Bytes that are taken to be free where the system does not say."""


@dataclass(frozen=True)
class Machine:
    """A device with what a bundle on it may be, and how it is worked off."""

    device: str
    capacity: Capacity
    options: Options


class NoSuchDevice(AdapterxError):
    """A device that a user named and torch cannot use."""


def choose(
    workers: int = 1,
    memory: float | None = None,
    deterministic: bool = False,
    wanted: Device | None = None,
    sharing: int = 1,
) -> Machine:
    """A GPU where there is one, else the CPU, prepared for long runs of same-sized steps.

    Args:
        workers: threads that prepare batches.
        memory: gigabytes a bundle may take; most of what is free by default.
        deterministic: have every GPU kernel give the same bits each time, which some of the fastest do not.
        wanted: the device that the user named, which this process has taken (`Device.take`). NoSuchDevice where torch
            cannot use it.
        sharing: processes that run on the device, among which its memory is divided.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted is not None and wanted.kind == "cuda" != device:
        why = (
            "there is no GPU of this number"
            if torch.version.cuda or torch.version.hip
            else "torch is built without GPUs"
        )
        raise NoSuchDevice(f"device {wanted}: {why}; `adapterx doctor` says what there is")
    device = device if wanted is None else wanted.kind
    if device == "cpu":
        keep()
        flush_denormals()
    elif deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    found = capacity(device, memory)
    if memory is None and found.memory is not None:
        found = replace(found, memory=found.memory // sharing)
    return Machine(device, found, Options(workers=workers))


def capacity(device: str | None = None, memory: float | None = None) -> Capacity:
    """How much one bundle may be.

    Args:
        device: the one that a run would choose by default.
        memory: gigabytes; most of what is free by default.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    limit = int(memory * 1e9) if memory is not None else int(MEMORY_SHARE * free_memory(device))
    return Capacity(BUNDLE_CELLS[device], BUNDLE_ROWS[device], limit)


def free_memory(device: str) -> int:
    """Bytes of memory that nothing uses now, and that no control group keeps from this process."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(free)
    available = main_memory().free
    return _GUESS if available is None else available
