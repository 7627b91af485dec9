"""What a run makes of bundles that fail."""

from __future__ import annotations

import io
import logging
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors import SafetensorError

from adapterx.executors import local
from adapterx.executors.local import Tally
from adapterx.executors.progress import RunProgress
from adapterx.plan import Plan, Stage, build
from adapterx.recipe import Recipe
from adapterx.store import Store
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


def test_memory_that_runs_out_on_the_cpu_is_told_as_such() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert local._status(raised.value) == "out-of-memory"


def test_a_disk_that_fills_while_tensors_are_written_is_told_as_such() -> None:
    # What safetensors 0.8 raises on a full file system.
    error = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert local._status(error) == "out-of-disk"
