"""What a run makes of bundles that fail."""

from __future__ import annotations

import io
import logging
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
from adapterx.executors.local import Tally
from adapterx.executors.progress import RunProgress
from adapterx.methods.config import Lora
from adapterx.plan import Plan, Stage, Training, build
from adapterx.recipe import Recipe
from adapterx.store import Store
from tests.cells import cell
from tests.engine.trainings import assert_same
from tests.models import encoder
from tests.plan.fakes import FakeBackbones, FakeTasks


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


class Memory:
    """What a bundle has in memory while it works."""


class Worker:
    """Has room for so many stages at a time, and for nothing else beside them."""

    def __init__(self, store: Store, room: int) -> None:
        self.store = store
        self.room = room
        self.used: list[weakref.ref[Memory]] = []

    def do(self, stages: Sequence[Stage]) -> None:
        assert not any(memory() for memory in self.used), "a failed bundle is still in memory"
        memory = Memory()
        self.used.append(weakref.ref(memory))
        if len(stages) > self.room:
            raise torch.OutOfMemoryError("no room")
        for stage in stages:
            names = {"settings": stage.settings, "inputs": stage.inputs}
            self.store.commit(stage.kind, stage.slug, stage.id, **names, files={}, result={}, provenance={})


@pytest.mark.parametrize("room", [4, 2, 1, 0])
def test_a_bundle_too_large_for_memory_is_done_in_halves_once_its_memory_is_free(
    room: int, plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "adapterx")  # what pytest captures it keeps, tracebacks and all
    store, tally = Store(tmp_path), Tally(set())
    stages = [stage for stage in plan.stages.values() if stage.kind == "target"]
    worker = Worker(store, room)
    local._do(stages, worker, store, tally, RunProgress(Console(file=io.StringIO()), stages))  # type: ignore[arg-type]
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

        def tight(bundle: Bundle, batch: Batch, add: bool) -> Tensor:
            if sum(batch.tokens) > room:
                raise torch.OutOfMemoryError("no room")
            return differentiate(bundle, batch, add)

        monkeypatch.setattr(Bundle, "_differentiate", tight)

    def do(self, stages: Sequence[Stage]) -> None:
        self.bundles.append(len(stages))
        for stage, outcome in zip(stages, train(self.encoder, [cell_of(stage) for stage in stages]), strict=True):
            self.outcomes[stage.id] = outcome
            names = {"settings": stage.settings, "inputs": stage.inputs}
            self.store.commit(stage.kind, stage.slug, stage.id, **names, files={}, result={}, provenance={})


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
    local._do(stages, worker, store, tally, RunProgress(Console(file=io.StringIO()), stages))  # type: ignore[arg-type]
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
