"""`adapterx doctor --calibrate`: measure this device for a minute or two, and keep its rates.

The embedded backbone (12 layers, 384 wide) and two random layers as wide as XLM-R base's train and evaluate LoRA cells
by the engine, with short and long sequences, one cell and eight. `adapterx.doctor.fit` finds the rates that a
`Workload`'s counts need to give these times. Of precisions after the first, products and elements alone are measured;
their other rates are the first's.

A time by these rates leaves out what `adapterx.plan.counted` does not count, other programs on the machine, batches
that are waited for, and how far a GPU's kernels are from full at the few rows of a small step.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from adapterx.backbones.precisions import DEFAULT, PRECISIONS
from adapterx.doctor import fit
from adapterx.doctor.discreet import discreet
from adapterx.doctor.points import POINTS, SHORT, BenchEncoder, Point, embedded, measured, wide
from adapterx.errors import AdapterxError
from adapterx.executors.device import choose
from adapterx.faults import is_out_of_memory
from adapterx.pace.calibration import Calibration, MeasuredPoint, is_busy, this_machine
from adapterx.pace.workload import Rates, Workload

LONGEST = 90.0
"""Seconds after which no further precision is begun."""
_OF_THE_FIRST = ("calls", "cell_calls", "attention")
"""Rates that further precisions take from the first."""
Tell = Callable[[str], None]
Named = tuple[str, Workload, float]
"""What was measured in words, what it computes, and its seconds."""


def calibrate(tell: Tell) -> Calibration:
    """Measure this device.

    Args:
        tell: hears of what is measured, a line each.

    Raises what loading the first precision raises.
    """
    device, started, load = choose().device, time.monotonic(), load_now()
    if is_busy(load):
        tell(f"the machine is busy (load {load:.1f}), so times will be too long: measure again when nothing else runs")
    rates: dict[str, Rates] = {}
    points: list[MeasuredPoint] = []
    for precision in PRECISIONS:
        if precision != DEFAULT and time.monotonic() - started > LONGEST:
            tell(f"{precision}: not measured, as {time.monotonic() - started:.0f} seconds have passed")
            continue
        try:
            found = list(_measured(precision, device, tell))
        except (AdapterxError, RuntimeError, ImportError) as error:
            if precision == DEFAULT:
                raise
            what = "the memory does not suffice" if is_out_of_memory(error) else f"{error}"
            tell(f"{precision}: not measured: {discreet(what)}")
            continue
        known = {name: getattr(rates[DEFAULT], name) for name in _OF_THE_FIRST} if rates else None
        rates[precision] = fit.rates([(work, seconds) for _, work, seconds in found], known)
        points += [
            MeasuredPoint(name=name, precision=precision, seconds=seconds, fitted=rates[precision].seconds(work))
            for name, work, seconds in found
        ]
    today = datetime.now(UTC).date()
    return Calibration(measured_on=this_machine(), measured=today, rates=rates, points=tuple(points), load=load)


def load_now() -> float:
    """The load of the machine, averaged over a minute; 0 where the system does not say."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return 0.0


def _measured(precision: str, device: str, tell: Tell) -> Iterator[Named]:
    """Every point of a precision, on one encoder after the other: both need not fit in memory at once."""
    points = POINTS if precision == DEFAULT else SHORT
    yield from _of_encoder(embedded(precision, device), precision, points, tell)
    with tempfile.TemporaryDirectory() as directory:
        yield from _of_encoder(wide(precision, device, Path(directory)), precision, points, tell)


def _of_encoder(encoder: BenchEncoder, precision: str, points: tuple[Point, ...], tell: Tell) -> Iterator[Named]:
    for point in points:
        work, seconds = measured(encoder, point)
        name = point.named(encoder.name)
        tell(f"{precision}: {name}: {1000 * seconds:,.0f} ms")
        yield name, work, seconds
