"""Findings of machines that nobody has to own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapterx.doctor.disks import CacheSize, WritablePlace
from adapterx.doctor.examined import Examined
from adapterx.doctor.fits import Fits
from adapterx.doctor.formats import fast
from adapterx.doctor.libraries import LIBRARIES, Library
from adapterx.machine.gpu import Gpu
from adapterx.machine.memory import Memory
from adapterx.machine.processor import Processor
from adapterx.pace.calibration import FoundCalibration

GB = 1_000_000_000
PROCESSOR = Processor("Some(R) Processor 9000", 4, ("avx2", "fma", "avx512_bf16"))
H200 = Gpu("NVIDIA H200", 150 * GB, 149 * GB, (9, 0), "580.65.06")


def libraries(**changes: tuple[str | None, str]) -> tuple[Library, ...]:
    """All at version 1, but for those whose version and error are given."""
    return tuple(Library(one, *changes.get(one.name, ("1.0", ""))) for one in LIBRARIES)


def examined(**changes: Any) -> Examined:
    """A machine of four cores on which everything works, less what is changed."""
    usual = Examined(
        python="3.11.7",
        processor=PROCESSOR,
        threads=4,
        memory=Memory(16 * GB, 8 * GB, None),
        gpus=(),
        used=None,
        gpu_error="",
        cuda_build=False,
        libraries=libraries(),
        formats=fast(PROCESSOR, None),
        store=WritablePlace("adapterx-store", 50 * GB),
        cache=WritablePlace("~/.cache/adapterx", 50 * GB),
        caches={"adapterx": CacheSize("~/.cache/adapterx", GB, True), "hub": None},
        token=None,
        offline=False,
        calibration=FoundCalibration(None),
        fits=Fits(6 * GB, {"XLM-R base": {"float32": 3, "bfloat16": 7}, "XLM-R XXL": {"float32": 0, "bfloat16": 0}}),
    )
    return replace(usual, **changes)
