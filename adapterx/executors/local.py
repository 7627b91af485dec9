"""Run a plan in this process: bundle after bundle, the grid going on past whatever fails."""

from __future__ import annotations

import logging
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from adapterx.errors import AdapterxError
from adapterx.executors.progress import RunProgress
from adapterx.executors.run_file import write as write_run
from adapterx.faults import FULL, UnusablePlace, code, is_out_of_memory, worded
from adapterx.plan import Capacity, Plan, Stage, bundles, ready, states
from adapterx.store import DamagedFile, Failure, FailureStatus, Store

if TYPE_CHECKING:
    from rich.console import Console

    from adapterx.executors.work import Worker

logger = logging.getLogger(__name__)


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


def run(
    plan: Plan,
    store: Store,
    *,
    overrides: Sequence[str],
    console: Console,
    recipe_dir: Path | None,
    effort: Effort,
) -> int:
    """Do what is not stored yet, write the report, show its table. Returns the exit code: 0 if every cell is done."""
    from adapterx import report

    directory = store.run_directory(plan.recipe.name)
    changed = write_run(directory, plan, overrides)
    tally = _work(plan, store, console, recipe_dir, effort)
    if tally.worked:
        console.print(f"trained {tally.trained} stages, evaluated {tally.evaluated}", highlight=False)
    else:
        console.print(f"nothing to train: {len(tally.stored)} of {len(plan.stages)} stages are stored", highlight=False)
    # Another process may have run other settings under this name meanwhile; the report is of this plan.
    changed |= write_run(directory, plan, overrides)
    analysis = report.analyse(store, directory)
    console.print(report.summary(analysis))
    page = directory / "report" / "index.html"
    if tally.worked or changed or not page.is_file():
        page = report.write(analysis, directory)
    for id, message in tally.failed.items():
        console.print(f"{plan.stages[id].kind} {plan.stages[id].slug}: {message}", style="red", markup=False)
    console.print(f"report: {page}", markup=False, soft_wrap=True)
    return 0 if all(result.status == "done" for result in analysis.results.cells) else 1


def _work(plan: Plan, store: Store, console: Console, recipe_dir: Path | None, effort: Effort) -> Tally:
    current = states(plan, store)
    tally = Tally({id for id, state in current.items() if state.name == "stored"})
    tally.failed |= {id: f"diverged: {state.reason}" for id, state in current.items() if state.name == "diverged"}
    todo = [stage for stage in plan.stages.values() if current[stage.id].name not in ("stored", "diverged", "blocked")]
    tally.worked = bool(ready(plan, tally.stored, tally.failed))
    if not tally.worked:
        return tally
    # A run that is killed must not leave the report of an earlier one behind as if it were its own.
    shutil.rmtree(store.run_directory(plan.recipe.name) / "report", ignore_errors=True)
    from adapterx.executors.data import Data
    from adapterx.executors.device import choose
    from adapterx.executors.work import Worker

    store.sweep()
    machine = choose(effort.workers, effort.memory, effort.deterministic)
    data = Data(recipe_dir, store.root / "cache" / "tokens")
    with _terminated_is_interrupted(), RunProgress(console, todo) as progress:
        worker = Worker(plan, store, data, machine, effort.checkpoint_seconds, progress.steps)
        while bundle := _next(plan, tally, worker, machine.capacity):
            _do(bundle, worker, store, tally, progress)
    return tally


def _next(plan: Plan, tally: Tally, worker: Worker, capacity: Capacity) -> list[Stage]:
    """The next bundle: of the backbone in memory if there is one; trainings before evaluations."""
    open_stages = ready(plan, tally.stored, tally.failed)
    groups = [[plan.stages[id] for id in group] for group in bundles(plan, open_stages, capacity)]
    return next((group for group in groups if worker.holds(group[0])), groups[0] if groups else [])


def _do(stages: list[Stage], worker: Worker, store: Store, tally: Tally, progress: RunProgress) -> None:
    """Do a bundle. If it fails, do its halves, so that a cell fails only for reasons of its own."""
    try:
        done = _under_locks(stages, worker, store, progress)
    except UnusablePlace:
        raise
    except Exception as error:
        if isinstance(error, DamagedFile) and error.stage in tally.stored - tally.lost:
            # It is missing now, and comes before these stages, which are still to be done.
            logger.warning("%s", error)
            tally.stored.remove(error.stage)
            tally.lost.add(error.stage)
            return
        if len(stages) == 1:
            _note_failure(stages[0], error, store, tally)
            progress.end(stages, tally.failed[stages[0].id])
            return
        logger.warning("a bundle of %d failed (%s); trying its halves", len(stages), _message(error, store))
    else:
        _note_results(stages, done, store, tally)
        progress.end(stages)
        return
    # Not in the handler: until it is left, the error holds on to all that the failed bundle had in memory.
    half = len(stages) // 2
    for part in (stages[:half], stages[half:]):
        _do(part, worker, store, tally, progress)


def _under_locks(stages: Sequence[Stage], worker: Worker, store: Store, progress: RunProgress) -> list[Stage]:
    """Do what no other process has done by the time its lock is ours; returns that."""
    with ExitStack() as held:
        for stage in sorted(stages, key=lambda stage: stage.id):
            held.enter_context(store.lock(stage.kind, stage.slug, stage.id))
        missing = [stage for stage in stages if store.find(stage.id, stage.kind, stage.slug) is None]
        if missing:
            progress.begin(missing)
            worker.do(missing)
        return missing


def _note_results(stages: Sequence[Stage], done: Sequence[Stage], store: Store, tally: Tally) -> None:
    for stage in stages:
        record = store.find(stage.id, stage.kind, stage.slug)
        if record is None:
            tally.failed[stage.id] = f"failed: it vanished from the store {store.root}"
            continue
        if record.status == "diverged":
            tally.failed[stage.id] = f"diverged: {record.result.get('message')}"
            continue
        tally.stored.add(stage.id)
    tally.trained += sum(stage.kind != "evaluation" for stage in done)
    tally.evaluated += sum(stage.kind == "evaluation" for stage in done)


def _note_failure(stage: Stage, error: Exception, store: Store, tally: Tally) -> None:
    status = _status(error)
    message = _message(error, store)
    if status == "failed" and not _is_foreseen(error):  # so that its place in the code matters
        logger.error("%s %s failed", stage.kind, stage.slug, exc_info=error)
    tally.failed[stage.id] = f"{status}: {message}"
    when = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        store.fail(stage.kind, stage.slug, stage.id, Failure(status, message, when))
    except OSError as full:
        logger.warning("could not note the failure of %s: %s", stage.slug, worded(full, store.root))


def _status(error: Exception) -> FailureStatus:
    if is_out_of_memory(error):
        return "out-of-memory"
    return "out-of-disk" if code(error) in FULL else "failed"


def _is_foreseen(error: Exception) -> bool:
    return isinstance(error, AdapterxError | OSError) or code(error) is not None


def _message(error: Exception, store: Store) -> str:
    if isinstance(error, AdapterxError):
        return str(error)
    if code(error) is not None and not is_out_of_memory(error):
        return worded(error, store.root)
    text = str(error).strip() or "no message"
    return text if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """A termination request ends the run as Ctrl-C does: locks are freed, finished stages stay, exit code 143."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
