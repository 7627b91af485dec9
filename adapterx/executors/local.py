"""Run a plan in this process: bundle after bundle, the grid going on past whatever fails."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx import crash, tracking
from adapterx.errors import AdapterxError
from adapterx.executors.onlookers import Onlookers
from adapterx.executors.progress import RunProgress, Shows
from adapterx.faults import FULL, UnusablePlace, code, is_out_of_memory, worded
from adapterx.machine.devices import Device
from adapterx.plan import Capacity, Plan, Stage, bundles, ready, states
from adapterx.plan.render import vocabularies
from adapterx.plan.vocabulary import counted, reads_some
from adapterx.results import run_file, training
from adapterx.stopping import Stopped
from adapterx.store import DamagedFile, Failure, FailureStatus, Store
from adapterx.tracking import TrackedRun
from adapterx.wording import plain

if TYPE_CHECKING:
    from rich.console import Console

    from adapterx.executors.work import Worker

logger = logging.getLogger(__name__)

LONGEST_MESSAGE = 500
"""Characters that are kept of what a failing stage said."""


@dataclass(frozen=True)
class Effort:
    """How a run uses its machine. Nothing of it changes a result."""

    checkpoint_seconds: float = 60.0
    """What a killed run may lose."""
    workers: int = 1
    """Threads that prepare batches."""
    memory: float | None = None
    """Gigabytes a bundle may take; most of what is free where None."""
    deterministic: bool = False
    """Whether GPU kernels must give the same bits each time."""
    devices: tuple[Device, ...] = ()
    """What it runs on, each in a process of its own where there are several; a GPU, or else the CPU, where none."""
    track: tuple[str, ...] = ()
    """Names of trackers that are told how it goes."""


@dataclass
class Tally:
    """How the stages of this run ended."""

    stored: set[str]
    """Before and during this run."""
    worked: bool = False
    """Whether there was anything to do."""
    trained: int = 0
    evaluated: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Id → what happened; a diverged stage counts."""
    lost: set[str] = field(default_factory=set)
    """Ids of stages that were stored, and found damaged when they were read. Each is made anew once."""
    defects: int = 0
    """Stages that failed by an error of the program."""
    before: frozenset[str] = frozenset()
    """Ids of the stages that were stored before this run."""

    def add(self, other: Tally) -> None:
        """Count what another process did: its `stored` are those that it has stored itself."""
        self.stored = (self.stored - (other.lost - self.lost)) | other.stored
        self.failed |= other.failed
        self.lost |= other.lost
        self.trained += other.trained
        self.evaluated += other.evaluated
        self.defects += other.defects


def run(
    plan: Plan,
    store: Store,
    *,
    overrides: Sequence[str],
    console: Console,
    recipe_dir: Path | None,
    effort: Effort,
    debug: bool = False,
) -> int:
    """Do what is not stored yet, write the report, show its table.

    The report of an earlier run stays until this one's takes its place; where it is of another recipe, a note beside it
    says so.

    Args:
        debug: whether to show the tracebacks of stages that fail.

    Returns:
        The exit code: 0 if every cell is done, 70 if a stage failed by a defect of the program, else 1.
    """
    from adapterx import report

    directory = store.run_directory(plan.recipe.name)
    asked = run_file.of_plan(plan, overrides)
    changed = run_file.write(directory, asked)
    outdated = report.mark_outdated(directory)
    try:
        tally = _work(plan, store, console, recipe_dir, effort, debug)
    except Stopped:
        if outdated:
            with suppress(OSError):  # there may be no terminal any more
                console.print(f"{outdated}: {report.OUTDATED}", markup=False, soft_wrap=True)
        raise
    if tally.worked:
        console.print(f"trained {tally.trained} stages, evaluated {tally.evaluated}", highlight=False)
    else:
        console.print(f"nothing to train: {len(tally.stored)} of {len(plan.stages)} stages are stored", highlight=False)
    # Another process may have run other settings under this name meanwhile; the report is of this plan.
    changed |= run_file.write(directory, asked)
    analysis = report.analyse(store, directory)
    console.print(report.summary(analysis))
    page = directory / "report" / "index.html"
    if tally.worked or changed or not page.is_file():
        page = report.write(analysis, directory, recipe_dir)
    for line in _failures(plan, tally):
        console.print(line, style="red", markup=False, soft_wrap=True)
    console.print(f"report: {page}", markup=False, soft_wrap=True)
    if tally.defects:
        return crash.SOFTWARE
    return 0 if all(result.status == "done" for result in analysis.results.cells) else 1


def _failures(plan: Plan, tally: Tally) -> Iterator[str]:
    """A line for each way in which stages failed."""
    stages: dict[str, list[Stage]] = {}
    for id, message in tally.failed.items():
        stages.setdefault(message, []).append(plan.stages[id])
    for message, (first, *others) in stages.items():
        yield f"{first.kind} {first.label}{f' and {len(others)} more' if others else ''}: {message}"


def _work(plan: Plan, store: Store, console: Console, recipe_dir: Path | None, effort: Effort, debug: bool) -> Tally:
    current = states(plan, store)
    tally = Tally({id for id, state in current.items() if state.name == "stored"})
    tally.before = frozenset(tally.stored)
    tally.failed |= {id: f"diverged: {state.reason}" for id, state in current.items() if state.name == "diverged"}
    todo = [stage for stage in plan.stages.values() if current[stage.id].name not in ("stored", "diverged", "blocked")]
    tally.worked = bool(ready(plan, tally.stored, tally.failed))
    if not tally.worked:
        return tally
    from adapterx.executors.data import Data
    from adapterx.executors.device import choose
    from adapterx.executors.vocabularies import Vocabularies
    from adapterx.executors.work import Worker

    store.sweep()
    several = len(effort.devices) > 1
    data = Data(recipe_dir, store.root / "cache" / "tokens")
    directory = store.run_directory(plan.recipe.name)
    tracked = TrackedRun(plan.recipe.name, plan.recipe.model_dump(mode="json"), directory)
    onlookers = Onlookers(directory, len(todo), tracking.start(effort.track, tracked))
    with RunProgress(console, todo, onlookers=onlookers) as progress:
        read = Vocabularies(plan.stages, data)
        if any(map(reads_some, todo)):
            console.print("reading the texts of all stages: the embeddings of the tokens in them are to be loaded")
        plan = counted(plan, read.count(todo))
        for line in vocabularies(plan, todo):
            console.print(line)
        if several:
            from adapterx.executors import fleet

            fleet.work(plan, store, tally, todo, progress, effort, recipe_dir, debug)
            return tally
        wanted = effort.devices[0] if effort.devices else None
        machine = choose(effort.workers, effort.memory, effort.deterministic, wanted)
        worker = Worker(plan, store, data, read, machine, effort.checkpoint_seconds, progress)
        bundles_ = Bundles(worker, store, tally, progress, debug)
        while bundle := _next(plan, tally, worker, machine.capacity):
            bundles_.do(bundle)
    return tally


def _next(plan: Plan, tally: Tally, worker: Worker, capacity: Capacity) -> list[Stage]:
    """The next bundle: of the backbone in memory if there is one; trainings before evaluations."""
    open_stages = ready(plan, tally.stored, tally.failed)
    groups = [[plan.stages[id] for id in group] for group in bundles(plan, open_stages, capacity)]
    return next((group for group in groups if worker.holds(group[0])), groups[0] if groups else [])


def note_failed(store: Store, tally: Tally, stage: Stage, status: FailureStatus, message: str) -> None:
    """Note that a stage failed, here and in the store."""
    tally.failed[stage.id] = f"{status}: {message}"
    when = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        store.fail(stage.kind, stage.label, stage.id, Failure(status, message, when))
    except OSError as full:
        logger.warning("could not note the failure of %s: %s", stage.label, worded(full, store.root))


class Bundles:
    """Does bundles, and notes how each of their stages ended.

    Args:
        debug: whether to show the tracebacks of stages that fail.
    """

    def __init__(self, worker: Worker, store: Store, tally: Tally, progress: Shows, debug: bool = False) -> None:
        self.worker = worker
        self.store = store
        self.tally = tally
        self.progress = progress
        self.debug = debug
        self._logged: dict[str, str] = {}
        """What is told of a defect, which many stages may have met; its log is written once."""

    def do(self, stages: Sequence[Stage], told: bool = False) -> None:
        """Do a bundle.

        What the worker lays to a single stage fails that stage. If the bundle fails for lack of memory, or nobody knows
        why, its halves are done, so that a stage fails only for reasons of its own. A foreseen error, such as of a file
        that all of them read, would come again in each half, and fails them all.

        Args:
            told: whether the user knows that there are halves.
        """
        try:
            self._under_locks(stages)
        except UnusablePlace:
            raise
        except Exception as error:
            if self._is_to_be_remade(error):
                return  # before these stages, which are still to be done
            left = [stage for stage in stages if stage.id not in self.tally.failed]
            if len(left) > 1 and not _concerns_all(error):
                if not told:
                    logger.warning("a bundle of %d failed (%s); trying its halves", len(left), self._message(error))
            else:
                for stage in left:
                    self.fail(stage, error)
                left = []
        else:
            self._note_results(stages)
            left = []
        self._show_failed([stage for stage in stages if stage not in left])
        # Not in the handler: until it is left, the error holds on to all that the failed bundle had in memory.
        half = len(left) // 2
        for part in (left[:half], left[half:]):
            if part:
                self.do(part, told=True)

    def _is_to_be_remade(self, error: Exception) -> bool:
        """Note a stored stage that was found damaged: it is missing now. Each is made anew once."""
        if not isinstance(error, DamagedFile) or error.stage not in self.tally.stored - self.tally.lost:
            return False
        self.tally.stored.remove(error.stage)
        self.tally.lost.add(error.stage)
        return True

    def fail(self, stage: Stage, error: Exception) -> None:
        """Note that a stage failed; or, where another one that it needs is to be made anew first, that it waits."""
        if self._is_to_be_remade(error):
            return
        status, message = _status(error), self._message(error)
        if self.debug:
            logger.error("%s %s failed", stage.kind, stage.label, exc_info=error)
        if not _foreseen(error):
            self.tally.defects += 1
            if message not in self._logged:
                self._logged[message] = plain(crash.logged(error, sys.argv[1:]), LONGEST_MESSAGE)
            message = self._logged[message]
        note_failed(self.store, self.tally, stage, status, message)

    def _message(self, error: Exception) -> str:
        """What an error says, on one line."""
        if code(error) is not None and not isinstance(error, AdapterxError) and not is_out_of_memory(error):
            return plain(worded(error, self.store.root), LONGEST_MESSAGE)
        text = " ".join(str(error).split()) or "no message"
        spoken = isinstance(error, AdapterxError | ValueError | OSError)
        return plain(text if spoken else f"{type(error).__name__}: {text}", LONGEST_MESSAGE)

    def _under_locks(self, stages: Sequence[Stage]) -> None:
        """Do what no other process has done by the time its lock is ours."""
        with ExitStack() as held:
            for stage in sorted(stages, key=lambda stage: stage.id):
                held.enter_context(self.store.lock(stage.kind, stage.label, stage.id))
            missing = [stage for stage in stages if self.store.find(stage.id, stage.kind, stage.label) is None]
            if not missing:
                return
            self.progress.begin(missing)
            self.worker.do(missing, self.fail)
        done = [stage for stage in missing if not self._is_open(stage)]
        self.tally.trained += sum(stage.kind != "evaluation" for stage in done)
        self.tally.evaluated += sum(stage.kind == "evaluation" for stage in done)

    def _is_open(self, stage: Stage) -> bool:
        """Whether a stage has no result: it failed, or waits for one that it needs."""
        return stage.id in self.tally.failed or not self.tally.stored.issuperset(stage.inputs)

    def _note_results(self, stages: Sequence[Stage]) -> None:
        ended = [stage for stage in stages if not self._is_open(stage)]
        for stage in ended:
            record = self.store.find(stage.id, stage.kind, stage.label)
            if record is None:
                self.tally.failed[stage.id] = f"failed: it vanished from the store {self.store.root}"
            elif record.status == "diverged":
                self.tally.failed[stage.id] = f"diverged: {training.message(record)}"
            else:
                self.tally.stored.add(stage.id)
                self.progress.stored(record)
        if ended:
            self.progress.end(ended)

    def _show_failed(self, stages: Sequence[Stage]) -> None:
        """Tell of stages that failed, a line for each reason; those that diverged have been trained."""
        reasons: dict[str, list[Stage]] = {}
        for stage in stages:
            message = self.tally.failed.get(stage.id, "diverged")
            if not message.startswith("diverged"):
                reasons.setdefault(message, []).append(stage)
        for message, alike in reasons.items():
            self.progress.end(alike, message)


def _concerns_all(error: Exception) -> bool:
    """Whether an error that a bundle met is of something that all of its stages share: its data, files or backbone."""
    damaged = isinstance(error, DamagedFile)  # the result of one stage
    return _foreseen(error) and not damaged and _status(error) != "out-of-memory"


def _foreseen(error: Exception) -> bool:
    """Whether an error is of files, data, memory or the machine, not of the program."""
    return isinstance(error, AdapterxError | OSError) or code(error) is not None or is_out_of_memory(error)


def _status(error: Exception) -> FailureStatus:
    if is_out_of_memory(error):
        return "out-of-memory"
    return "out-of-disk" if code(error) in FULL else "failed"
