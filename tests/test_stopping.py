"""What signals do to a program: in its main thread, under a shield, in a library that does not come back, and twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from adapterx.stopping import Stopped, heeded, saving, shielded
from tests.support.command import ROOT, environment


def raised(number: int = signal.SIGINT) -> None:
    """Send this process a signal, whose handler runs before this returns."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_work_and_what_was_earned_is_saved(number: int, code: int) -> None:
    before = signal.getsignal(number)
    saved = []

    def save() -> str:
        saved.append(1)
        return "saved"

    with pytest.raises(Stopped) as stopped, heeded(str, last=False), saving(save):
        raised(number)
    assert (stopped.value.code, stopped.value.note, saved) == (code, "saved", [1])
    assert signal.getsignal(number) is before


def test_a_shield_is_finished_first() -> None:
    done = []
    with pytest.raises(Stopped), heeded(str, last=False):
        with shielded():
            with shielded():
                raised()
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]


def test_what_a_destructor_swallows_is_raised_again() -> None:
    with pytest.raises(Stopped), heeded(str, last=False):
        with suppress(Stopped):  # as a destructor's errors are
            raised()
        with shielded():
            pass
        pytest.fail("the request is lost")


def test_work_that_cannot_be_saved_is_told_and_the_end_stays_the_same() -> None:
    def full() -> str:
        raise OSError("no room")

    with pytest.raises(Stopped) as stopped, heeded(str, last=False), saving(full):
        raised()
    assert "is lost (no room)" in stopped.value.note


def test_what_is_to_be_ignored_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heeded(str, last=False):
            raised(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


PROGRAM = """
import hashlib, os, signal, sys, threading
from adapterx import stopping
from adapterx.stopping import heeded, saving, shielded

stopping.PATIENCE = {patience}

def endless():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # one call without the interpreter's lock, for half an hour

def save():
    {save}
    return "saved"

def tell(stopped):
    return f"{{stopped.code}} {{stopped.note}}"

try:
    with heeded(tell, last=True), saving(save):
        {signals}
        endless()
except stopping.Stopped as stopped:
    sys.exit(tell(stopped))
"""


def ended(signals: str, save: str = "pass", patience: float = 60.0) -> subprocess.CompletedProcess[str]:
    """A program that is sent signals while its main thread is in a call that does not come back."""
    code = PROGRAM.format(signals=signals, save=save, patience=patience)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


SOON = "threading.Timer({}, os.kill, (os.getpid(), {})).start()"


def test_a_library_that_does_not_come_back_is_not_waited_for() -> None:
    done = ended(SOON.format(0.2, "signal.SIGTERM"), patience=0.2)
    assert (done.returncode, done.stderr, done.stdout) == (143, "143 saved\n", "")


def test_a_second_signal_ends_at_once() -> None:
    signals = "; ".join(SOON.format(seconds, "signal.SIGINT") for seconds in (0.2, 0.6))
    done = ended(signals)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_second_signal_ends_at_once_while_saving() -> None:
    done = ended("os.kill(os.getpid(), signal.SIGINT)", save=f"{SOON.format(0.2, 'signal.SIGINT')}; endless()")
    assert (done.returncode, done.stderr) == (130, "")


def test_whoever_ends_the_process_waits_for_a_shield() -> None:
    """Whether the main thread comes round first or not, what it did under the shield is whole."""
    shield = "with shielded(): hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000); done.append('whole')"
    done = ended(f"done = []; {SOON.format(0.2, 'signal.SIGTERM')}\n        {shield}", patience=0.1)
    assert done.stderr == "143 saved\n"
