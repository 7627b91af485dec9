"""What a machine is found to be, and what the user may say of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapterx import allocator
from adapterx.engine.options import BUNDLE_CELLS, BUNDLE_ROWS
from adapterx.executors import device
from adapterx.machine.memory import memory as memory_of


@pytest.fixture(autouse=True)
def switched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What torch is told of determinism; it and the allocator of this process stay as they are."""
    found: list[bool] = []
    monkeypatch.setattr(device, "keep", lambda: None)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", found.append)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return found


def test_what_the_user_says_counts() -> None:
    machine = device.choose(workers=3, memory=2.5)
    assert machine.options.workers == 3 and machine.capacity.memory == 2_500_000_000
    kind = machine.device
    assert (machine.capacity.cells, machine.capacity.rows) == (BUNDLE_CELLS[kind], BUNDLE_ROWS[kind])


def test_a_gpu_is_taken_where_there_is_one(switched: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10 << 30, 80 << 30))
    machine = device.choose()
    assert machine.device == "cuda" and machine.capacity.memory == int(0.8 * (10 << 30))
    assert machine.capacity.rows == BUNDLE_ROWS["cuda"]
    assert not switched
    device.choose(deterministic=True)
    assert switched == [True]


@pytest.mark.skipif(torch.cuda.is_available(), reason="of a machine without a GPU")
def test_most_of_what_is_free_is_used_and_a_guess_where_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = device.choose().capacity.memory
    assert found is not None and found > 0
    known = tmp_path / "proc" / "meminfo"
    known.parent.mkdir()
    monkeypatch.setattr(device, "main_memory", lambda: memory_of(tmp_path))
    assert device.choose().capacity.memory == int(0.8 * (8 << 30))
    known.write_text("MemTotal: 4000 kB\nMemAvailable:    2000 kB\n")
    assert device.choose().capacity.memory == int(0.8 * 2000 * 1024)
    known.write_text("MemTotal: 4000 kB\n")
    assert device.choose().capacity.memory == int(0.8 * (8 << 30))


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterx.allocator.platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("adapterx.allocator.ctypes.CDLL", lambda name: pytest.fail("it was asked"))
    allocator.keep()
