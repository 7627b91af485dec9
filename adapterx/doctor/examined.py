"""Everything that is found out about this machine, as one object with a JSON form."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapterx import __version__
from adapterx.doctor import disks, formats, libraries
from adapterx.doctor.discreet import discreet
from adapterx.doctor.disks import CacheSize, WritablePlace
from adapterx.doctor.fits import Fits
from adapterx.doctor.formats import FastFormat
from adapterx.doctor.libraries import LIBRARIES, Library, Probed, offline, probe
from adapterx.machine import threads
from adapterx.machine.gpu import Gpu, gpus
from adapterx.machine.memory import Memory, memory
from adapterx.machine.processor import Processor, processor
from adapterx.pace import calibration
from adapterx.pace.calibration import FoundCalibration
from adapterx.store import JSON


@dataclass(frozen=True)
class UsedGpu:
    """The GPU on which torch computes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True)
class Examined:
    """What was found out."""

    python: str
    processor: Processor
    threads: int
    """Of a computation: torch's own number, else the one it would be asked for."""
    memory: Memory
    gpus: tuple[Gpu, ...]
    """Those that the driver lists."""
    used: UsedGpu | None
    """Where torch finds one."""
    gpu_error: str
    """Why torch finds none although it looked for one; empty otherwise."""
    cuda_build: bool
    libraries: tuple[Library, ...]
    formats: Mapping[str, FastFormat]
    store: WritablePlace
    cache: WritablePlace
    caches: Mapping[str, CacheSize | None]
    """adapterx's own and the Hub's; None where nobody can say where it is."""
    token: str | None
    offline: bool
    calibration: FoundCalibration
    fits: Fits | None
    """None where torch cannot be imported."""
    fits_error: str = ""

    @property
    def device(self) -> str:
        """What a run would compute on."""
        return "cuda" if self.used else "cpu"

    def library(self, name: str) -> Library:
        """How one library stands."""
        return next(one for one in self.libraries if one.wanted.name == name)


def examine(given_store: Path | None, probed: Probed | None = None) -> Examined:
    """Look at everything. Never raises.

    Args:
        given_store: a store that the command line names.
        probed: what importing the libraries showed, where they were tried already.
    """
    probed = probed or probe(LIBRARIES)
    told = probed.torch
    here, listed, room = processor(), gpus(), memory()
    used = _used(told)
    computing = _computing(listed, used, told)
    fits, why = _fits(probed, computing)
    return Examined(
        python=platform.python_version(),
        processor=here,
        threads=told["threads"] if isinstance(told.get("threads"), int) else threads(),
        memory=room,
        gpus=listed,
        used=used,
        gpu_error=discreet(str(told.get("gpu_error", ""))),
        cuda_build=bool(told.get("cuda_build")),
        libraries=probed.libraries,
        formats=formats.fast(here, computing),
        store=disks.store(given_store),
        cache=disks.cache(given_store),
        caches={"adapterx": disks.cache_size(), "hub": disks.hub_size()},
        token=disks.token(),
        offline=offline(),
        calibration=_discreet(calibration.find()),
        fits=fits,
        fits_error=why,
    )


def _used(told: Mapping[str, object]) -> UsedGpu | None:
    gpu = told.get("gpu")
    if not isinstance(gpu, dict):
        return None
    return UsedGpu(str(gpu.get("name")), int(gpu.get("total") or 0), int(gpu.get("free") or 0))


def _computing(listed: tuple[Gpu, ...], used: UsedGpu | None, told: Mapping[str, object]) -> Gpu | None:
    """The GPU that torch computes on, as far as its capability is known."""
    if used is None:
        return None
    gpu = told.get("gpu")
    pair = gpu.get("capability") if isinstance(gpu, dict) else None
    capability = (int(pair[0]), int(pair[1])) if isinstance(pair, list) and len(pair) == 2 else None
    driver = next((one.driver for one in listed if one.name == used.name), "")
    return Gpu(used.name, used.total, used.free, capability, driver)


def _fits(probed: Probed, gpu: Gpu | None) -> tuple[Fits | None, str]:
    """The table, and why there is none.

    Args:
        gpu: the one that torch computes on.
    """
    if not probed.library("torch").usable:
        return None, "torch cannot be imported"
    try:
        from adapterx.doctor.fits import fits
        from adapterx.executors.device import capacity

        return fits(capacity(), gpu), ""
    except Exception as error:  # a machine on which this fails is what the command is for
        return None, discreet(f"{type(error).__name__}: {error}")


def _discreet(found: FoundCalibration) -> FoundCalibration:
    return FoundCalibration(found.calibration, discreet(found.note) if found.note else "")


def to_json(found: Examined, reasons: list[str], advice: list[str]) -> dict[str, JSON]:
    """The object that `--json` prints; the reference page of the command describes its keys."""
    gpu = found.gpus[0] if found.gpus else None
    kept = found.calibration.calibration
    return {
        "adapterx_doctor": libraries.VERSION,
        "adapterx": __version__,
        "python": found.python,
        "quickstart": not reasons,
        "reasons": list(reasons),
        "advice": list(advice),
        "processor": {
            "model": found.processor.model,
            "cores": found.processor.cores,
            "threads": found.threads,
            "instructions": None if found.processor.instructions is None else list(found.processor.instructions),
        },
        "gpu": None
        if gpu is None
        else {
            "name": gpu.name,
            "count": len(found.gpus),
            "total_bytes": gpu.total,
            "free_bytes": gpu.free,
            "capability": None if gpu.capability is None else list(gpu.capability),
            "driver": gpu.driver,
        },
        "device": found.device,
        "memory": {
            "total_bytes": found.memory.total,
            "free_bytes": found.memory.free,
            "limit_bytes": found.memory.limit,
            "swap_bytes": found.memory.swap,
        },
        "formats": {name: {"fast": one.fast, "by": list(one.by)} for name, one in found.formats.items()},
        "libraries": libraries.to_json(found.libraries),
        "store": _place(found.store),
        "cache": _place(found.cache),
        "caches": {name: _size(one) for name, one in found.caches.items()},
        "hub": {"token": found.token, "offline": found.offline},
        "calibration": {
            "measured": None if kept is None else kept.measured.isoformat(),
            "precisions": [] if kept is None else sorted(kept.rates),
            "largest_error": None if kept is None else round(kept.largest_error, 3),
            "load": None if kept is None else kept.load,
            "note": found.calibration.note,
        },
        "fits": None
        if found.fits is None
        else {
            "memory_bytes": found.fits.memory,
            "cells": {size: dict(row) for size, row in found.fits.cells.items()},
        },
    }


def _place(one: WritablePlace) -> dict[str, JSON]:
    return {"path": one.path, "free_bytes": one.free, "writable": not one.error, "error": one.error}


def _size(one: CacheSize | None) -> dict[str, JSON] | None:
    return None if one is None else {"path": one.path, "bytes": one.size, "complete": one.complete}
