"""What a run makes of bundles that fail."""

from __future__ import annotations

import errno
import io
import logging
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors import SafetensorError
from torch import Tensor

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine.batches import Batch
from adapterx.engine.bundle import Bundle
from adapterx.engine.cell import TrainingCell
from adapterx.engine.train import Outcome, train
from adapterx.executors import local
from adapterx.executors.apart import Fail
from adapterx.executors.local import Tally
from adapterx.executors.progress import RunProgress
from adapterx.faults import UnusablePlace
from adapterx.methods.lora.spec import Lora
from adapterx.plan import Capacity, Plan, Stage, Training, build
from adapterx.recipe import Recipe
from adapterx.store import DamagedFile, Store
from adapterx.tasks.sources.errors import DataError
from tests.cells import cell
from tests.engine.trainings import assert_same
from tests.models import encoder
from tests.plan.fakes import FakeBackbones, FakeTasks

KINDS = ("target", "evaluation")


@pytest.fixture
def plan() -> Plan:
    recipe = {
        "adapterx": 1,
        "name": "bundle",
        "backbones": {"small": "e5@6"},
        "methods": {"lora": {"kind": "lora"}},
        "targets": ["months"],
        "seeds": [1, 2, 3, 4],
    }
    return build(Recipe.model_validate(recipe), None, FakeBackbones(), FakeTasks())


def commit(store: Store, stage: Stage, files: Mapping[str, bytes] | None = None) -> None:
    """Store a stage as done, with these files and no results."""
    store.commit(
        stage.kind,
        stage.label,
        stage.id,
        settings=stage.settings,
        inputs=stage.inputs,
        files=files or {},
        result={},
        provenance={},
    )


class Memory:
    """What a bundle has in memory while it works."""


class Worker:
    """Has room for so many stages at a time, and for nothing else beside them."""

    def __init__(self, store: Store, room: int) -> None:
        self.store = store
        self.room = room
        self.used: list[weakref.ref[Memory]] = []

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        assert not any(memory() for memory in self.used), "a failed bundle is still in memory"
        memory = Memory()
        self.used.append(weakref.ref(memory))
        if len(stages) > self.room:
            raise torch.OutOfMemoryError("no room")
        for stage in stages:
            commit(self.store, stage)


@pytest.mark.parametrize("room", [4, 2, 1, 0])
def test_a_bundle_too_large_for_memory_is_done_in_halves_once_its_memory_is_free(
    room: int, plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "adapterx")  # what pytest captures it keeps, tracebacks and all
    store, tally = Store(tmp_path), Tally(set())
    stages = [stage for stage in plan.stages.values() if stage.kind == "target"]
    worker = Worker(store, room)
    progress = RunProgress(Console(file=io.StringIO()), stages)
    local.Bundles(worker, store, tally, progress).do(stages)  # type: ignore[arg-type]
    assert tally.stored == ({stage.id for stage in stages} if room else set())
    assert set(tally.failed.values()) == (set() if room else {"out-of-memory: OutOfMemoryError: no room"})


class Trainer:
    """Trains a cell for each stage, with memory for so many token rows in one pass."""

    def __init__(self, store: Store, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.encoder = PackedEncoder(encoder("xlm-roberta"))
        self.outcomes: dict[str, Outcome] = {}
        self.bundles: list[int] = []
        differentiate = Bundle._differentiate

        def tight(bundle: Bundle, batch: Batch, add: bool, **told: Any) -> Tensor:
            if sum(batch.tokens) > room:
                raise torch.OutOfMemoryError("no room")
            return differentiate(bundle, batch, add, **told)

        monkeypatch.setattr(Bundle, "_differentiate", tight)

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        self.bundles.append(len(stages))
        for stage, outcome in zip(stages, train(self.encoder, [cell_of(stage) for stage in stages]), strict=True):
            self.outcomes[stage.id] = outcome
            commit(self.store, stage)


def cell_of(stage: Stage) -> TrainingCell:
    """A training whose longest example has 18 tokens and whose shortest has 4."""
    assert isinstance(stage.work, Training)
    return replace(cell(Lora(rank=2), seed=stage.work.seed, steps=3), key=stage.id)


@pytest.mark.parametrize(("room", "bundles"), [(10_000, [4]), (80, [4]), (30, [4, 2, 1, 1, 2, 1, 1])])
def test_bundles_are_halved_only_when_their_cells_do_not_fit_at_one_example_each(
    room: int, bundles: list[int], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what comes of it is the same: batches of eight in a step, or of one at a time and each cell by itself."""
    store, tally = Store(tmp_path), Tally(set())
    stages = [stage for stage in plan.stages.values() if stage.kind == "target"]
    worker = Trainer(store, room, monkeypatch)
    progress = RunProgress(Console(file=io.StringIO()), stages)
    local.Bundles(worker, store, tally, progress).do(stages)  # type: ignore[arg-type]
    assert worker.bundles == bundles
    assert tally.stored == {stage.id for stage in stages} and not tally.failed
    monkeypatch.undo()
    assert_same([worker.outcomes[s.id] for s in stages], train(worker.encoder, [cell_of(s) for s in stages]))


def test_memory_that_runs_out_on_the_cpu_is_told_as_such() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert local._status(raised.value) == "out-of-memory"


def test_a_disk_that_fills_while_tensors_are_written_is_told_as_such() -> None:
    # What safetensors 0.8 raises on a full file system.
    error = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert local._status(error) == "out-of-disk"


class Damaging:
    """Commits what it is given; the first evaluation finds its target's adapter damaged, `times` in all."""

    def __init__(self, plan: Plan, store: Store, times: int) -> None:
        self.plan = plan
        self.store = store
        self.times = times
        self.did: list[str] = []

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        for stage in stages:
            for id in stage.inputs if stage.kind == "evaluation" and self.times else ():
                self.times -= 1
                target = self.plan.stages[id]
                record = self.store.find(id, target.kind, target.label)
                if record is None:
                    raise DamagedFile("it is no longer stored", id)
                (self.store.directory(target.kind, target.label, id) / "adapter.safetensors").write_bytes(b"Weights")
                self.store.read(record, "adapter.safetensors")
            self.did.append(f"{stage.kind} {stage.label.rpartition('.')[2]}")
            files: dict[str, bytes] = {} if stage.kind == "evaluation" else {"adapter.safetensors": b"weights"}
            commit(self.store, stage, files)

    def holds(self, stage: Stage) -> bool:
        return False


def finish(plan: Plan, worker: object, store: Store) -> Tally:
    tally, progress = Tally(set()), RunProgress(Console(file=io.StringIO()), [])  # nothing planned: all is made anew
    together = local.Bundles(worker, store, tally, progress)  # type: ignore[arg-type]
    while bundle := local._next(plan, tally, worker, Capacity()):  # type: ignore[arg-type]
        together.do(bundle)
    return tally


def test_a_damaged_input_is_made_anew_in_the_same_run(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path)
    worker = Damaging(plan, store, times=1)
    tally = finish(plan, worker, store)
    assert not tally.failed and tally.stored == set(plan.stages)
    assert sorted(worker.did) == sorted([*(f"{kind} seed{n}" for n in (1, 2, 3, 4) for kind in KINDS), "target seed1"])


def test_an_input_that_is_damaged_again_and_again_ends_in_a_failure(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path)
    tally = finish(plan, Damaging(plan, store, times=1000), store)
    assert [plan.stages[id].kind for id in tally.failed] == ["evaluation"] * 4
    assert all("stored" in why for why in tally.failed.values())


class Refusing:
    """Finds the same wrong with every stage."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        raise self.error

    def holds(self, stage: Stage) -> bool:
        return False


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.EFBIG, "File too large", "x"), "out-of-disk", "ulimit -f"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "out-of-disk", "no space left"),
        (OSError(errno.EIO, "Input/output error", "x"), "failed", "input/output error"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "failed", "ulimit -n"),
        (SafetensorError("I/O error: Input/output error (os error 5)"), "failed", "input/output error"),
        (DataError("data/x.tsv, line 3: has no text"), "failed", "data/x.tsv, line 3: has no text"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out-of-memory", "Cannot allocate memory"),
    ],
)
def test_what_was_foreseen_is_told_without_a_traceback_and_others_are_tried(
    plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, status: str, words: str
) -> None:
    tally = finish(plan, Refusing(error), Store(tmp_path))
    assert len(tally.failed) == 4
    for why in tally.failed.values():
        assert why.startswith(f"{status}: ") and words in why and "\n" not in why
    assert not [record for record in caplog.records if record.exc_info]


def test_a_store_that_cannot_be_used_ends_the_run_at_once(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")  # nobody makes a directory in a file
    with pytest.raises(UnusablePlace, match="choose another place with --store or ADAPTERX_STORE"):
        finish(plan, Refusing(ValueError()), Store(tmp_path))


class Failing:
    """Meets errors: of stages, as they are told apart, and of any bundle that holds one of `poisoned`."""

    def __init__(self, store: Store, own: dict[str, Exception], poisoned: dict[str, Exception]) -> None:
        self.store = store
        self.own = own
        self.poisoned = poisoned
        self.bundles: list[int] = []

    def do(self, stages: Sequence[Stage], fail: Fail) -> None:
        self.bundles.append(len(stages))
        for stage in stages:
            if stage.id in self.poisoned:
                raise self.poisoned[stage.id]
        for stage in stages:
            if stage.id in self.own:
                fail(stage, self.own[stage.id])
                continue
            commit(self.store, stage)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logs of defects go."""
    monkeypatch.setenv("ADAPTERX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "logs"


def do(worker: object, store: Store, stages: Sequence[Stage], debug: bool = False) -> tuple[Tally, str]:
    """How the stages of a bundle end, and what is shown."""
    tally, output = Tally(set()), io.StringIO()
    progress = RunProgress(Console(file=output, width=300), stages)
    local.Bundles(worker, store, tally, progress, debug).do(stages)  # type: ignore[arg-type]
    return tally, output.getvalue()


def of(plan: Plan) -> list[Stage]:
    return [stage for stage in plan.stages.values() if stage.kind == "target"]


def test_an_error_of_what_all_share_is_met_once(
    plan: Plan, tmp_path: Path, logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stages, long = of(plan), "x.tsv:7: has\x1b[31m no\ncolumn " + 1000 * "y"
    worker = Failing(Store(tmp_path), {}, {stages[2].id: DataError(long)})
    tally, shown = do(worker, Store(tmp_path), stages)
    assert worker.bundles == [4] and set(tally.failed) == {stage.id for stage in stages} and not tally.defects
    assert len(set(tally.failed.values())) == 1 and shown.count("x.tsv:7: has") == 1
    assert not caplog.records and not logs.exists()
    failure = Store(tmp_path).failure(stages[0].kind, stages[0].label, stages[0].id)
    assert failure is not None and failure.message.startswith("x.tsv:7: has\\x1b[31m no column yyy")
    assert len(failure.message) <= local.LONGEST_MESSAGE + 10


def test_an_error_of_one_stage_leaves_the_others(plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = of(plan)
    worker = Failing(Store(tmp_path), {stages[1].id: OSError(errno.EIO, "Input/output error", "adapter")}, {})
    tally, _ = do(worker, Store(tmp_path), stages)
    assert worker.bundles == [4] and set(tally.failed) == {stages[1].id} and len(tally.stored) == 3
    assert "input/output error" in tally.failed[stages[1].id] and tally.trained == 3 and not caplog.records


def test_a_defect_is_looked_for_in_halves_and_logged_once(
    plan: Plan, tmp_path: Path, logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stages = of(plan)
    worker = Failing(Store(tmp_path), {}, {stages[3].id: KeyError("surprise"), stages[0].id: KeyError("surprise")})
    tally, shown = do(worker, Store(tmp_path), stages)
    assert set(tally.failed) == {stages[0].id, stages[3].id} and tally.defects == 2 and len(tally.stored) == 2
    assert len(caplog.records) == 1, "halves are told of once"
    (log,) = logs.iterdir()
    assert "Traceback" in log.read_text() and str(log) in tally.failed[stages[0].id]
    assert "a defect of the program: KeyError: 'surprise'" in shown and "Traceback" not in shown + caplog.text


def test_a_damaged_result_of_one_stage_does_not_fail_its_neighbours(plan: Plan, tmp_path: Path) -> None:
    stages = of(plan)
    worker = Failing(Store(tmp_path), {}, {stages[0].id: DamagedFile("has changed", "another")})
    tally, _ = do(worker, Store(tmp_path), stages)
    assert set(tally.failed) == {stages[0].id} and len(tally.stored) == 3


def test_what_failed_by_itself_is_not_tried_again_with_a_half(plan: Plan, tmp_path: Path) -> None:
    stages, store = of(plan), Store(tmp_path)

    class Late(Failing):
        def do(self, stages: Sequence[Stage], fail: Fail) -> None:
            assert stages[0].id not in done or len(stages) == 4
            if len(stages) == 4:
                fail(stages[0], OSError("its own"))
                done.add(stages[0].id)
                raise torch.OutOfMemoryError("no room")
            super().do(stages, fail)

    done: set[str] = set()
    worker = Late(store, {}, {})
    tally, _ = do(worker, store, stages)
    assert list(tally.failed) == [stages[0].id] and len(tally.stored) == 3 and worker.bundles == [1, 2]


def test_tracebacks_are_for_debugging(plan: Plan, tmp_path: Path, logs: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = of(plan)[:1]
    for error in (KeyError("surprise"), DataError("x.tsv:7")):
        do(Failing(Store(tmp_path), {}, {stages[0].id: error}), Store(tmp_path), stages, debug=True)
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
