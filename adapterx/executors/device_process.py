"""The process of one of several devices: does the bundles that it is given, and tells of them.

It listens to whoever started it and to nobody's terminal: asked to end, or left alone, it saves its checkpoint first.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from adapterx import faults, stopping
from adapterx.errors import AdapterxError
from adapterx.machine.devices import Device
from adapterx.plan import Capacity, Plan, Stage

if TYPE_CHECKING:
    from adapterx.engine.train import Progress
    from adapterx.executors.local import Effort, Tally
    from adapterx.store import Record

_BETWEEN = 0.2
"""Seconds between two messages about steps."""


@dataclass(frozen=True)
class Given:
    """What a process is started with."""

    plan: Plan
    todo: tuple[str, ...]
    """Ids of the stages that the run is about."""
    store: Path
    recipe_dir: Path | None
    effort: Effort
    device: Device
    sharing: int
    """Processes on the same device."""
    threads: int | None
    """Of torch, where the environment does not say."""
    debug: bool


# What a process tells.


@dataclass(frozen=True)
class Ready:
    """It can be given bundles of this capacity."""

    capacity: Capacity


@dataclass(frozen=True)
class Began:
    """It works on stages."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Stepped:
    """A training step was taken."""

    steps: Progress


@dataclass(frozen=True)
class Sweeps:
    """An evaluation begins; arguments as of `RunProgress.passes`."""

    items: int
    rows: int
    what: str


@dataclass(frozen=True)
class Passed:
    """So many items and token rows of it were read."""

    items: int
    rows: int


@dataclass(frozen=True)
class Ended:
    """Stages are over, or have failed for a reason."""

    ids: tuple[str, ...]
    failed: str


@dataclass(frozen=True)
class Logged:
    """A warning or an error for the user."""

    level: int
    text: str


@dataclass(frozen=True)
class Did:
    """A bundle is done: what of it is stored now, lost and failed."""

    tally: Tally


@dataclass(frozen=True)
class Unusable:
    """Something that ends the run: a place, or a device that is not there."""

    message: str
    place: bool


@dataclass(frozen=True)
class HasStopped:
    """It was asked to end, and has saved."""

    note: str


class ParentLine:
    """The way to whoever started the process; threads take turns."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def tell(self, message: object) -> None:
        """Send it; nothing where nobody listens any more."""
        with self._lock:
            try:
                self._connection.send(message)
            except OSError:
                return

    def listen(self, to: SimpleQueue[Any]) -> None:
        """Pass on what comes, in a thread of its own; if the other side is gone, ask this process to end."""

        def heard() -> None:
            try:
                while True:
                    to.put(self._connection.recv())
            except (EOFError, OSError):
                os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=heard, name="adapterx-line", daemon=True).start()


class Told:
    """Tells of progress."""

    def __init__(self, line: ParentLine) -> None:
        self._line = line
        self._spoken = 0.0

    def begin(self, stages: Sequence[Stage]) -> None:
        """A bundle starts."""
        self._line.tell(Began(_ids(stages)))

    def steps(self, steps: Progress) -> None:
        """A training step of the bundle; not every one is told."""
        now = time.monotonic()
        if now - self._spoken >= _BETWEEN:
            self._spoken = now
            self._line.tell(Stepped(steps))

    def passes(self, items: int, rows: int, what: str) -> Callable[[int, int], None]:
        """What counts the passes of an evaluation."""
        self._line.tell(Sweeps(items, rows, what))
        return lambda items, rows: self._line.tell(Passed(items, rows))

    def stored(self, record: Record) -> None:
        """The result of a stage is in the store, where the other side reads it once the bundle is done."""

    def end(self, stages: Sequence[Stage], failed: str = "") -> None:
        """Stages of the bundle are over, or have failed for a reason."""
        self._line.tell(Ended(_ids(stages), failed))


def _ids(stages: Sequence[Stage]) -> tuple[str, ...]:
    return tuple(stage.id for stage in stages)


class _Warnings(logging.Handler):
    """Sends what is logged for the user."""

    def __init__(self, line: ParentLine) -> None:
        super().__init__(logging.WARNING)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.tell(Logged(record.levelno, self.format(record)))


def serve(connection: Connection, given: Given) -> None:
    """Be the process of a device until there is nothing more to do."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C at the terminal goes to whoever started this, who passes it on once
    given.device.take()
    if given.threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(given.threads))
    line = ParentLine(connection)
    asked: SimpleQueue[Any] = SimpleQueue()

    def stopped(asking: stopping.Stopped) -> str:
        """Where the main thread does not come round to it."""
        line.tell(HasStopped(asking.note))
        return f"{given.device}: ended"

    try:
        with stopping.heeded(stopped, last=True):
            line.listen(asked)
            _serve(line, asked, given)
    except stopping.Stopped as asking:
        line.tell(HasStopped(asking.note))
        os._exit(asking.code)
    except faults.UnusablePlace as error:
        line.tell(Unusable(str(error), place=True))
    except AdapterxError as error:
        line.tell(Unusable(str(error), place=False))


def _serve(line: ParentLine, asked: SimpleQueue[Any], given: Given) -> None:
    from adapterx.executors.data import Data
    from adapterx.executors.device import choose
    from adapterx.executors.local import Bundles, Tally
    from adapterx.executors.vocabularies import Vocabularies
    from adapterx.executors.work import Worker
    from adapterx.plan.vocabulary import counted
    from adapterx.store import Store

    logging.getLogger("adapterx").addHandler(_Warnings(line))
    logging.getLogger("adapterx").propagate = False
    effort, store = given.effort, Store(given.store)
    machine = choose(effort.workers, effort.memory, effort.deterministic, given.device, given.sharing)
    data = Data(given.recipe_dir, store.root / "cache" / "tokens")
    read = Vocabularies(given.plan.stages, data)
    plan = counted(given.plan, read.count([given.plan.stages[id] for id in given.todo]))
    told = Told(line)
    worker = Worker(plan, store, data, read, machine, effort.checkpoint_seconds, told)
    line.tell(Ready(machine.capacity))
    while bundle := asked.get():
        ids, stored, lost = bundle
        tally = Tally(set(stored), lost=set(lost))
        Bundles(worker, store, tally, told, given.debug).do([plan.stages[id] for id in ids])
        line.tell(Did(replace(tally, stored=tally.stored - stored)))
