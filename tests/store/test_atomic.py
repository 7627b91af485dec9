"""Modes of written files, what killed writers leave, and errors that name the file that was to be written."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from adapterx.store import Store, write_json, write_stream
from adapterx.store.atomic import ABANDONED, sweep_abandoned


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_mode_that_umask_leaves_whoever_writes_it(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_stream(tmp_path / "weights", lambda path: save_file({"a": torch.zeros(2)}, path))
        write_json(tmp_path / "run.json", {})
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EFBIG, "File too large"),
        SafetensorError("Error while serializing: I/O error: File too large (os error 27)"),
        RuntimeError("cannot write (os error 27)"),
    ],
)
def test_what_the_system_refuses_names_the_file_whichever_library_met_it(tmp_path: Path, error: Exception) -> None:
    def writer(path: Path) -> None:
        raise error

    with pytest.raises(OSError, match="File too large") as raised:
        write_stream(tmp_path / "adapter.safetensors", writer)
    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(tmp_path / "adapter.safetensors"))
    assert not list(tmp_path.iterdir())


def leave(directory: Path) -> Path:
    """A temporary file of a process that ended while it wrote."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom adapterx.store import write_stream\n"
        "write_stream(Path(sys.argv[1]), lambda path: os._exit(0))"
    )
    subprocess.run([sys.executable, "-c", code, str(directory / "x.json")], check=True)
    (path,) = directory.glob(".*.tmp")
    return path


def test_files_of_dead_processes_and_old_ones_are_swept_and_others_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dead = [leave(tmp_path / name) for name in ("checkpoints", "runs/grid", "cache/tokens", "locks/target")]
    machine, owner = dead[0].name.split(".")[-2].split("-")[:2]
    elsewhere, old = tmp_path / "checkpoints" / ".y.00000000-1-00000000.tmp", tmp_path / "runs" / ".z.1-0.tmp"
    alive = tmp_path / "checkpoints" / f".y.{machine}-{os.getpid()}-00000000.tmp"
    for path in (elsewhere, old, alive):
        path.touch()
    past = old.stat().st_mtime - ABANDONED - 60
    os.utime(old, (past, past))
    os.utime(alive, (past, past))
    result = tmp_path / "checkpoints" / "y.safetensors"
    result.touch()
    store.sweep()
    assert int(owner) != os.getpid()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([elsewhere, alive, result])
    sweep_abandoned(tmp_path / "nowhere")
