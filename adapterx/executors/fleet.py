"""One run on several devices: a process for each, and whoever is idle is given the next bundle.

The bundles are those that one device would do (`plan.order`), so results are the same, bit for bit on devices of one
kind. They go through the store. A process that ends fails the stages that it was working on, and no others.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from adapterx import faults
from adapterx.errors import AdapterxError
from adapterx.executors import device_process as said
from adapterx.executors.backbones import BackboneRequest
from adapterx.executors.local import Effort, Tally, note_failed
from adapterx.executors.progress import DeviceProgress, RunProgress
from adapterx.machine.devices import Device
from adapterx.machine.processor import processor
from adapterx.plan import Capacity, Plan, Stage
from adapterx.plan.order import order
from adapterx.stopping import saving
from adapterx.store import Store

logger = logging.getLogger(__name__)


class DeviceEnded(AdapterxError):
    """A process ended in the midst of its work."""


@dataclass(eq=False)
class _Member:
    """A device with its process."""

    device: Device
    process: SpawnProcess
    line: Connection
    progress: DeviceProgress
    capacity: Capacity | None = None
    """Once it is ready."""
    bundle: tuple[Stage, ...] = ()
    """What it is at."""
    held: object = None
    """The backbone in its memory."""
    gone: bool = False
    note: str = ""
    """Where it stopped."""
    passed: Callable[[int, int], None] = field(default=lambda items, rows: None)


def work(
    plan: Plan,
    store: Store,
    tally: Tally,
    todo: Sequence[Stage],
    progress: RunProgress,
    effort: Effort,
    recipe_dir: Path | None,
    debug: bool,
) -> None:
    """Do what is to be done on the devices of an effort, and count it in the tally.

    Raises AdapterxError for a device that is not there, and UnusablePlace; asked to end, all processes save first.
    """
    with _Fleet(plan, store, tally, progress).started(todo, effort, recipe_dir, debug) as fleet, saving(fleet.leave):
        fleet.wait_until_ready()
        fleet.go_on()


class _Fleet:
    """The processes of a run."""

    def __init__(self, plan: Plan, store: Store, tally: Tally, progress: RunProgress) -> None:
        self.plan, self.store, self.tally, self.progress = plan, store, tally, progress
        self.members: list[_Member] = []
        self.leaving = False
        """Whether all processes have been asked to end."""
        self._ordered: tuple[object, list[list[Stage]]] | None = None
        """The bundles, with what they rest on."""

    @contextmanager
    def started(self, todo: Sequence[Stage], effort: Effort, recipe_dir: Path | None, debug: bool) -> Iterator[_Fleet]:
        """Start a process for each device; none of them is left when this ends."""
        context = multiprocessing.get_context("spawn")
        named = Counter(effort.devices)
        on_cpu = sum(device.kind == "cpu" for device in effort.devices)
        for number, device in enumerate(effort.devices):
            here, there = context.Pipe()
            threads = max(1, processor().cores // on_cpu) if device.kind == "cpu" else None
            given = said.Given(
                self.plan,
                tuple(stage.id for stage in todo),
                self.store.root,
                recipe_dir,
                effort,
                device,
                named[device],
                threads,
                debug,
            )
            name = str(device) if named[device] == 1 else f"{device} ({number + 1})"
            process = context.Process(target=said.serve, args=(there, given), name=f"adapterx on {name}", daemon=True)
            process.start()
            there.close()  # so that its end is heard
            self.members.append(_Member(device, process, here, DeviceProgress(self.progress, name)))
        try:
            yield self
        finally:
            self._end()

    def wait_until_ready(self) -> None:
        """Until every device can be given bundles; AdapterxError for one that cannot."""
        while waiting := [one for one in self.members if one.capacity is None]:
            if gone := next((one for one in waiting if one.gone), None):
                raise DeviceEnded(f"the process of device {gone.device} did not start ({_how(gone.process)})")
            self._hear()

    def go_on(self) -> None:
        """Hand out bundles until nothing is left that can be done."""
        self._hand_out()
        while any(one.bundle for one in self._there()):
            self._hear()
            self._hand_out()

    def leave(self) -> str:
        """Ask all processes to end, and wait until they have saved; their notes."""
        self.leaving = True
        for one in self._there():
            _ask_to_end(one.process)
        while self._there():
            self._hear()
        return "; ".join(dict.fromkeys(one.note for one in self.members if one.note))

    def _there(self) -> list[_Member]:
        return [one for one in self.members if not one.gone]

    def _hand_out(self) -> None:
        """Give each idle device the first bundle that it can do, of the backbone in its memory if there is one."""
        idle = [one for one in self._there() if not one.bundle]
        for member in idle:
            bundles = [bundle for bundle in self._order() if self.tally.stored.issuperset(_inputs(bundle))]
            if not bundles:
                return
            chosen = next((one for one in bundles if BackboneRequest.by(one[0]) == member.held), bundles[0])
            member.bundle, member.held = tuple(chosen), BackboneRequest.by(chosen[0])
            stored, lost = frozenset(self.tally.stored), frozenset(self.tally.lost)
            with suppress(OSError):  # of one that has just ended, which is heard next
                member.line.send((tuple(stage.id for stage in chosen), stored, lost))

    def _order(self) -> list[list[Stage]]:
        """What one device would still do, from the start, less what is done or under way."""
        failed, lost = frozenset(self.tally.failed), frozenset(self.tally.lost)
        if self._ordered is None or self._ordered[0] != (failed, lost):
            stored = self.tally.before - lost
            bundles = list(order(self.plan, stored, failed, self._capacity(), BackboneRequest.by))
            self._ordered = ((failed, lost), bundles)
        away = {stage.id for one in self.members for stage in one.bundle} | self.tally.stored | failed
        left = ([stage for stage in bundle if stage.id not in away] for bundle in self._ordered[1])
        return [bundle for bundle in left if bundle]

    def _capacity(self) -> Capacity:
        """That of the smallest device, so that each can do every bundle."""
        found = [one.capacity for one in self.members if one.capacity is not None]
        rows, memory = ([one for one in values if one is not None] for values in zip(*map(_limits, found), strict=True))
        return Capacity(min(one.cells for one in found), min(rows, default=None), min(memory, default=None))

    def _hear(self) -> None:
        """Wait for the next messages, and do what they ask for."""
        there = {one.line: one for one in self._there()}
        for line in wait(list(there)):
            assert isinstance(line, Connection)
            try:
                message = line.recv()
            except (EOFError, OSError):
                self._gone(there[line])
            else:
                self._heard(there[line], message)

    def _heard(self, member: _Member, message: object) -> None:
        stages, progress = self.plan.stages, member.progress
        match message:
            case said.Ready(capacity):
                member.capacity = capacity
            case said.Began(ids):
                progress.begin([stages[id] for id in ids])
            case said.Stepped(steps):
                progress.steps(steps)
            case said.Sweeps(items, rows, what):
                member.passed = progress.passes(items, rows, what)
            case said.Passed(items, rows):
                member.passed(items, rows)
            case said.Ended(ids, why):
                progress.end([stages[id] for id in ids], why)
            case said.Logged(level, text):
                logger.log(level, "%s: %s", progress.device, text)
            case said.HasStopped(note):
                member.note = note
            case said.Unusable(text, place):
                raise (faults.UnusablePlace if place else AdapterxError)(text)
            case said.Did(tally):
                member.bundle = ()
                self.tally.add(tally)
                for stage in (stages[id] for id in sorted(tally.stored)):
                    if record := self.store.find(stage.id, stage.kind, stage.label):
                        progress.stored(record)

    def _gone(self, member: _Member) -> None:
        """A process has ended: what it was working on failed, unless it was asked to end."""
        member.gone = True
        member.process.join()
        bundle, member.bundle = member.bundle, ()
        if not bundle or self.leaving:
            return
        ended = DeviceEnded(f"the process of device {member.progress.device} ended ({_how(member.process)})")
        for stage in bundle:
            note_failed(self.store, self.tally, stage, "failed", str(ended))
        member.progress.end(bundle, str(ended))
        if not self._there():
            logger.warning("no device is left; run again to go on")

    def _end(self) -> None:
        """Let processes that have nothing to do end; the others are asked to."""
        for one in self._there():
            with suppress(OSError):
                one.line.send(None)
            if one.bundle or one.capacity is None:
                _ask_to_end(one.process)
        for one in self._there():
            one.line.close()
            one.process.join()


def _limits(capacity: Capacity) -> tuple[int | None, int | None]:
    return capacity.rows, capacity.memory


def _inputs(bundle: Sequence[Stage]) -> set[str]:
    return {id for stage in bundle for id in stage.inputs}


def _ask_to_end(process: SpawnProcess) -> None:
    with suppress(OSError, ValueError):
        if process.pid is not None:
            os.kill(process.pid, signal.SIGTERM)


def _how(process: SpawnProcess) -> str:
    """How a process ended, in words."""
    code = process.exitcode or 0
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
