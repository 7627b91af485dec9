"""Signals that ask the program to end: Ctrl-C, a termination request, a terminal that closes.

Depends on no other package. The first signal raises `Stopped` in the main thread, in the midst of whatever that does;
inside `shielded` it waits for the end of the shield. On the way out `saving` keeps what has been earned. Another signal
ends the process at once.

One operation of a library may take longer than anybody waits: the backward pass of a large encoder on a CPU is one
call, during which no handler of Python runs. So a thread hears of signals as well. Where the main thread has not come
round within `PATIENCE`, the thread saves in its place and ends the process. A shield is a lock for the same reason:
what it covers is whole whenever somebody saves.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 3.0
"""Seconds that the main thread has to come round before the process is ended without it."""

_THREAD = "adapterx-signals"
_SHOW_CURSOR = b"\x1b[?25h\r\n"
_OVER = b"\0"
_NOTHING = 0


class Stopped(KeyboardInterrupt):
    """Somebody asked the program to end.

    Attributes:
        number: of the signal.
        note: what was saved, for the user; empty where there was nothing to save.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.note = ""

    @property
    def code(self) -> int:
        """The exit code, as shells have it."""
        return 128 + self.number


class _Request:
    """Whether the program has been asked to end, and what is to be done first. There is one of it, as of handlers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held inside a shield, and while something is saved."""
        self.save: Callable[[], str] | None = None
        self.terminals: list[int] = []
        """Descriptors that write to one."""
        self.forget()

    def forget(self) -> None:
        self.number: int | None = None
        self.shields = 0
        self.caught = False
        """Whether the main thread is on its way out and cares for what is to be saved."""

    def heed(self, number: int, frame: FrameType | None) -> None:
        """The handler. Of a second signal the thread takes care."""
        if self.number is None:
            self.number = number
            self._let_go_of_terminals()
            self.stop()

    def _let_go_of_terminals(self) -> None:
        """Write to nowhere what would go to a terminal that has closed: an error there must not hide the request."""
        for descriptor in self.terminals:
            if not os.isatty(descriptor):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)

    def stop(self) -> None:
        """Raise what is due, unless a shield is up. An error that a destructor swallowed is raised again."""
        if self.number is not None and not self.caught and not self.shields:
            raise Stopped(self.number)

    def saved(self) -> str:
        """Save what there is to save; a note about it."""
        if self.save is None:
            return ""
        try:
            return self.save()
        except Exception as error:  # whatever it is, the program is to end, and to say what became of the work
            return f"what was done since the last checkpoint is lost ({error})"


_request = _Request()


@contextmanager
def shielded() -> Iterator[None]:
    """Do something whole: a signal is heeded afterwards."""
    _request.shields += 1
    try:
        with _request.lock:
            yield
    finally:
        _request.shields -= 1
        _request.stop()


@contextmanager
def saving(save: Callable[[], str]) -> Iterator[None]:
    """Call `save` if the program is asked to end meanwhile; the note it returns goes to the user."""
    _request.save = save
    try:
        yield
    except Stopped as stopped:
        _request.caught = True
        with _request.lock:
            stopped.note = _request.saved()
        raise
    finally:
        _request.save = None


@contextmanager
def heeded(tell: Callable[[Stopped], str], last: bool) -> Iterator[None]:
    """Heed signals, except those that whoever started the program has it ignore, as `nohup` does.

    Args:
        tell: words the end, where the main thread cannot come round to it.
        last: whether the process ends after this: then another signal while Python shuts down ends it without a word.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _request.forget()
    _request.terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
    before = {one: signal.getsignal(one) for one in SIGNALS}
    before = {one: handler for one, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    watcher = threading.Thread(target=_watch, args=(ear, tell), name=_THREAD, daemon=True)
    watcher.start()
    former = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    for one in before:
        signal.signal(one, _request.heed)
    try:
        yield
    finally:
        _request.caught = True
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if last else handler)
        signal.set_wakeup_fd(former)
        os.write(mouth, _OVER)
        watcher.join()
        os.close(ear)
        os.close(mouth)
        _request.forget()


def may_fork() -> bool:
    """Whether a copy of this process may go on by itself: threads are not copied, nor who holds a lock.

    The thread that listens for signals holds none while it listens. Torch's threads are not Python's.
    """
    known = {threading.main_thread().name, _THREAD}
    return "torch" not in sys.modules and all(thread.name in known for thread in threading.enumerate())


def unheeded() -> None:
    """Let a copy of the process end by the signals that end its parent, without what the parent does then."""
    signal.set_wakeup_fd(-1)
    for one in SIGNALS:
        signal.signal(one, signal.SIG_DFL)


def _watch(ear: int, tell: Callable[[Stopped], str]) -> None:
    """End the process at a second signal, or where the main thread does not answer the first."""
    first = _heard(ear, None)
    if first is None:
        return
    number = _heard(ear, PATIENCE)
    while number == _NOTHING and not _request.caught:
        if _request.lock.acquire(timeout=0.1):
            try:
                _end_without_main(first, tell)
            finally:
                _request.lock.release()
        number = _heard(ear, 0)
    if number == _NOTHING:
        number = _heard(ear, None)
    if number is not None:
        _end(number)


def _end_without_main(number: int, tell: Callable[[Stopped], str]) -> None:
    """Save and end the process, unless the main thread has come round meanwhile."""
    if not _request.caught:
        stopped = Stopped(number)
        stopped.note = _request.saved()
        _end(number, f"{tell(stopped)}\n".encode(errors="backslashreplace"))


def _heard(ear: int, seconds: float | None) -> int | None:
    """The next signal; `_NOTHING` where none comes in time, None when nobody listens any more."""
    while select.select([ear], [], [], seconds)[0]:
        byte = os.read(ear, 1)
        if byte in (_OVER, b""):
            return None
        if byte[0] in SIGNALS:
            return byte[0]
    return _NOTHING


def _end(number: int, words: bytes = b"") -> None:
    """End the process as it stands. What it was writing is a temporary file, which the next run sweeps."""
    with suppress(OSError):
        if sys.stdout is not None and os.isatty(1):
            os.write(1, _SHOW_CURSOR)  # a progress bar hides it
        if words:
            os.write(2, words)
    os._exit(128 + number)
