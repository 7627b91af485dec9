"""A run on several devices, rehearsed with two processes on the CPU: the same results, and nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.command import process, start

Recipe = Callable[..., Path]
GRID: Mapping[str, object] = {
    "intermediates": {"none": None, "en": {"tasks": "time-order"}},
    "transfers": ["continue"],
    "targets": {"latest": {"task": "time-latest", "languages": ["en", "de"]}},
    "compare": None,
    "train": {"batch_size": 4, "steps": 8},
}
TWO = ("--devices", "cpu,cpu")


def results(store: Path) -> dict[str, bytes]:
    """Adapters and predictions by their stage."""
    paths = [path for name in ("adapter.safetensors", "predictions.parquet") for path in store.rglob(name)]
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(paths)}


def run(recipe: Path, store: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return process("run", recipe, "--store", store, *more, timeout=600)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What one device gives, once it was asked."""
    return {}


def of_one_device(alone: dict[str, dict[str, bytes]], recipe: Path, tmp_path: Path) -> dict[str, bytes]:
    if not alone:
        done = run(recipe, tmp_path / "alone", "--devices", "cpu")
        assert done.returncode in (0, 1), done.stderr
        alone["results"] = results(tmp_path / "alone")
    return alone["results"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_give_what_one_gives(recipe: Recipe, tmp_path: Path, alone: dict[str, dict[str, bytes]]) -> None:
    path = recipe(**GRID)
    expected = of_one_device(alone, path, tmp_path)
    done = run(path, tmp_path / "two", *TWO)
    assert done.returncode in (0, 1), done.stderr
    assert results(tmp_path / "two") == expected
    assert "cpu (1): " in done.stdout and "cpu (2): " in done.stdout
    assert "trained 12 stages, evaluated 8" in done.stdout
    again = run(path, tmp_path / "two", *TWO)
    assert "nothing to train" in again.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_loses_nothing(
    number: signal.Signals, recipe: Recipe, tmp_path: Path, alone: dict[str, dict[str, bytes]]
) -> None:
    path, store = recipe(**GRID), tmp_path / "two"
    expected = of_one_device(alone, path, tmp_path)
    going = start("run", path, "--store", store, *TWO)
    _until(lambda: len(list(store.rglob("adapter.safetensors"))) > 0, going)
    os.kill(going.pid, number)
    said, _ = going.communicate(timeout=120)
    assert going.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    assert "Traceback" not in said
    _until(lambda: not _writing(store), None)  # processes whose run was killed end by themselves
    stored = results(store)
    assert stored and stored.items() <= expected.items()
    done = run(path, store, *TWO)
    assert done.returncode in (0, 1), done.stderr
    assert results(store) == expected


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_that_is_killed_leaves_the_other_s_results(
    recipe: Recipe, tmp_path: Path, alone: dict[str, dict[str, bytes]]
) -> None:
    path, store = recipe(**GRID), tmp_path / "two"
    expected = of_one_device(alone, path, tmp_path)
    going = start("run", path, "--store", store, *TWO)
    _until(lambda: bool(_writing(store)), going)
    os.kill(next(iter(_writing(store))), signal.SIGKILL)
    said, _ = going.communicate(timeout=300)
    assert going.returncode == 1 and "ended (by SIGKILL)" in said and "Traceback" not in said
    stored = results(store)
    assert stored and stored.items() < expected.items()
    done = run(path, store, *TWO)
    assert done.returncode in (0, 1), done.stderr
    assert results(store) == expected


def _writing(store: Path) -> set[int]:
    """Processes that hold the lock of a stage: those at work."""
    found = set()
    for path in store.rglob("*.holder"):
        try:
            found.add(int(path.read_text().split('"pid":')[1].split(",")[0]))
        except (OSError, IndexError, ValueError):
            continue
    return {pid for pid in found if Path(f"/proc/{pid}").exists()}


def _until(told: Callable[[], bool], process: subprocess.Popen[str] | None) -> None:
    for _ in range(2400):
        if told():
            return
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended before: {process.communicate()[0]}")
        time.sleep(0.05)
    raise AssertionError("it never came to this")


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        ("mps", "Apple's GPUs (MPS)"),
        ("xpu:0", "Intel's GPUs (XPU)"),
        ("rocm", "torch calls ROCm's GPUs cuda: write cuda:0, or 0"),
        ("cpu,,0", "nothing is no device"),
        ("tpu", "tpu is no device: cpu, or GPUs by their numbers, as in 0,1"),
    ],
)
def test_other_devices_are_refused_with_the_reason(
    devices: str, why: str, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    from adapterx.cli import main

    with pytest.raises(SystemExit):
        main(["run", str(recipe()), "--devices", devices])
    assert why in " ".join(capsys.readouterr().err.split())
