"""The calibration of this machine: what was measured here (`adapterx doctor --calibrate`), kept in the cache directory.

A file per machine, named by a hash of what its times rest on, so that machines which share a home do not overwrite each
other's. A file that is damaged, of a newer version, or of another machine is ignored, with a line that says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError

from adapterx import places
from adapterx.errors import AdapterxError
from adapterx.machine import cores, threads
from adapterx.machine.gpu import Gpu
from adapterx.machine.processor import processor
from adapterx.machine.torch_build import device_name, torch_build
from adapterx.pace.workload import FLOPS, RULE, Rates, Workload
from adapterx.reading import UnreadableFile, read_json
from adapterx.store.atomic import write_json

VERSION = 1
"""Of the file. Raised whenever counts or rates would mean something else."""
BUSY = 0.7
"""What the load may exceed the cores by that a computation leaves free: another program takes most of a core."""
CURE = "run `adapterx doctor --calibrate`"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MeasuredOn(_Stored):
    """What the times of a machine rest on."""

    device: str
    """The GPU's name, or `cpu`."""
    processor: str
    instructions: tuple[str, ...]
    threads: int
    torch: str

    @property
    def key(self) -> str:
        """Sixteen hex digits."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]


class MeasuredPoint(_Stored):
    """One measurement."""

    name: str
    """What was measured, in words."""
    precision: str
    seconds: PositiveFloat
    """Of a step, or of an evaluation of two passes: the least of several."""
    fitted: NonNegativeFloat
    """The same by the rates."""


class Calibration(_Stored):
    """What was measured on a machine."""

    measured_on: MeasuredOn
    measured: date
    rates: Mapping[str, Rates] = Field(min_length=1)
    """By precision."""
    points: tuple[MeasuredPoint, ...]
    load: NonNegativeFloat = 0.0
    """Processes that were waiting for a core before it began, on average over a minute."""

    @property
    def largest_error(self) -> float:
        """Largest relative difference between rates and measurements."""
        return max((abs(one.fitted / one.seconds - 1) for one in self.points), default=0.0)


@dataclass(frozen=True)
class Pace:
    """What a plan's times come from."""

    calibration: Calibration | None = None

    @property
    def gpu(self) -> Gpu | None:
        """The GPU that is supposed in place of this machine's device; None where a plan is for this machine."""
        return None

    def seconds(self, precision: str, work: Workload) -> float:
        """How long a workload takes on a backbone in this precision; by the rule of thumb where it was not measured."""
        rates = {} if self.calibration is None else self.calibration.rates
        return rates.get(precision, RULE).seconds(work)

    def told(self, precisions: Collection[str]) -> str:
        """Where the times of backbones in these precisions come from, as the end of a sentence."""
        rule = f"at {FLOPS / 1e9:.0f} GFLOP/s"
        measured = {} if self.calibration is None else self.calibration.rates
        others = sorted(set(precisions) - set(measured))
        if self.calibration is None or len(others) == len(set(precisions)):
            return rule
        rest = f", of {' and '.join(others)} {rule}" if others else ""
        return f"by the calibration of {self.calibration.measured.isoformat()}{rest}"


BY_RULE = Pace()


@dataclass(frozen=True)
class FoundCalibration:
    """The calibration of this machine, if there is one."""

    calibration: Calibration | None
    note: str = ""
    """Why one that is there is ignored, in a line; empty where there is nothing to say."""

    @property
    def pace(self) -> Pace:
        """What a plan's times come from."""
        return Pace(self.calibration)


def is_busy(load: float) -> bool:
    """Whether a load of this machine makes times too long."""
    return load > BUSY + max(0, cores() - threads())


def this_machine() -> MeasuredOn:
    """What the times of this machine rest on, here and now."""
    here, build = processor(), torch_build()
    return MeasuredOn(
        device=device_name(),
        processor=here.model,
        instructions=here.instructions or (),
        threads=threads(),
        torch="none" if build is None else build.version,
    )


def directory() -> Path:
    """Where calibrations lie."""
    return places.cache() / "calibration"


def path_of(machine: MeasuredOn) -> Path:
    """The file of a machine's calibration."""
    return directory() / f"{machine.key}.json"


def find(machine: MeasuredOn | None = None) -> FoundCalibration:
    """The calibration of a machine, this one by default. Never raises."""
    try:
        folder = directory()
        present = any(folder.glob("*.json"))
    except (AdapterxError, OSError):
        return FoundCalibration(None)
    if not present:
        return FoundCalibration(None)  # without looking for a GPU, which takes a while
    machine = machine or this_machine()
    path = path_of(machine)
    try:
        return FoundCalibration(_read(path, machine))
    except FileNotFoundError:
        why = "of other machines, numbers of threads or versions of torch"
        return FoundCalibration(None, f"no calibration of this machine: those in {folder} are {why}; {CURE}")
    except (UnreadableFile, OSError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        return FoundCalibration(None, f"{path}: the calibration {what or 'cannot be read'}, and is ignored; {CURE}")


def _read(path: Path, machine: MeasuredOn) -> Calibration:
    """Raises UnreadableFile for what is no calibration of the machine."""
    content = read_json(path)
    version = content.get("adapterx_calibration") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise UnreadableFile("has another form")
    if version > VERSION:
        raise UnreadableFile("is of a newer version of adapterx")
    if version < VERSION:
        raise UnreadableFile("is of an earlier version of adapterx")
    try:
        told = {name: value for name, value in content.items() if name != "adapterx_calibration"}
        found = Calibration.model_validate_json(json.dumps(told))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UnreadableFile(f"has no usable {place or 'content'}") from None
    if found.measured_on != machine:
        raise UnreadableFile("is of another machine, number of threads or version of torch")
    return found


def write(calibration: Calibration) -> Path:
    """Keep a calibration; returns its file. Raises what writing raises."""
    path = path_of(calibration.measured_on)
    write_json(path, {"adapterx_calibration": VERSION, **calibration.model_dump(mode="json")})
    return path
