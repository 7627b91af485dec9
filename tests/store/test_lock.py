from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapterx.faults import UnusablePlace
from adapterx.store import Store, fingerprint, lock

STAGE = ("target", "small.lora", fingerprint("stage"))
HOLD = """
import sys, time
from pathlib import Path
from adapterx.store import Store
with Store(Path(sys.argv[1])).lock(*sys.argv[2:]):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the stage's lock."""
    command = [sys.executable, "-c", HOLD, str(store.root), *STAGE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_process_waits_naming_the_first_until_it_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.2)
    store = Store(tmp_path)
    with holder(store) as process, caplog.at_level(logging.WARNING):
        killer = threading.Timer(0.8, lambda: process.send_signal(signal.SIGKILL))
        killer.start()
        started = time.monotonic()
        with store.lock(*STAGE):
            assert time.monotonic() - started > 0.6
        killer.join()
    assert f"waiting for target small.lora, which process {process.pid} on " in caplog.text


def test_other_stages_stay_free(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with holder(store):
        started = time.monotonic()
        with store.lock(STAGE[0], STAGE[1], fingerprint("another")):
            # The holder keeps its stage for as long as this block lasts, so a shared lock would never be had.
            assert time.monotonic() - started < 30


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(RuntimeError), store.lock(*STAGE):
        raise RuntimeError
    with store.lock(*STAGE):
        assert (tmp_path / "locks" / "target").is_dir()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("adapterx.store.lock.fcntl.flock", refuse)
    with pytest.raises(UnusablePlace) as raised, Store(tmp_path).lock(*STAGE):
        raise AssertionError("nobody holds this lock")
    told = str(raised.value)
    assert str(tmp_path / "locks" / "target") in told and ".lock: its file system has no locks" in told
    assert "choose another place with --store or ADAPTERX_STORE" in told


@pytest.mark.parametrize("note", ["[" * 100_000, "{}", "5", '{"pid": "x", "host": 1, "since": 2}', None])
def test_a_holder_that_says_nonsense_is_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, note: str | None
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    store = Store(tmp_path)
    with holder(store) as process:
        (path,) = (tmp_path / "locks" / "target").glob("*.holder")
        path.unlink()
        if note is None:
            os.mkfifo(path)
        else:
            path.write_text(note)
        killer = threading.Timer(0.5, process.kill)
        killer.start()
        with caplog.at_level(logging.WARNING), store.lock(*STAGE):
            killer.join()
    assert "which another process is working on" in caplog.text
