"""A program of the user's: JSON lines in, JSON lines out, started once and asked batch by batch.

It reads a line `{"id", "text", "source", "target"}` for each text and answers each with `{"id", "text"}`, or with
`{"id", "error"}` where it has no translation, in whatever order. A batch is written whole, and the next one comes when
all of it is answered, so a program must write out what it has before it waits for more (`flush`). Its standard input is
closed at the end. No shell is asked.
"""

from __future__ import annotations

import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from adapterx.reading import UnreadableFile, parse_json
from adapterx.store.identity import JSON
from adapterx.translate.engines.base import EngineOptions, Markers, NoTranslation
from adapterx.translate.errors import EngineError
from adapterx.wording import shown

TIMEOUT = 600.0
"""Seconds for which a program may keep silent, unless --timeout says otherwise."""
LONGEST_LINE = 16_000_000
"""Bytes of an answer."""
_MARKERS: tuple[Markers, ...] = (("<a>", "</a>"), ("[[", "]]"))
_GRACE, _IMPATIENCE = 2.0, 0.2
"""Seconds that a program has to end by itself, and after a mistake of its own."""
_BLOCK = 1 << 16


def make(argument: str, options: EngineOptions) -> CommandEngine:
    """The program; it is started when the first text comes. Raises EngineError for quotes that do not close."""
    try:
        command = shlex.split(argument)
    except ValueError as error:
        raise EngineError(f"--engine command:{argument}: {error}; its arguments need a shell's quotes") from None
    markers = _MARKERS if options.markers is None else options.markers
    return CommandEngine(command, TIMEOUT if options.timeout is None else options.timeout, markers)


class CommandEngine:
    """Asks the program; arguments as of `make`."""

    name = "command"

    def __init__(self, command: Sequence[str], timeout: float, markers: Sequence[Markers]) -> None:
        self.command, self.markers = list(command), markers
        self._timeout = timeout
        self._program: Program | None = None
        self._asked = 0

    def check(self, source: str, target: str) -> None:
        """Refuse a program that is not there; which languages it knows, only its answers tell."""
        if shutil.which(self.command[0]) is None and not Path(self.command[0]).exists():
            raise _no_program(self.command[0])

    def identity(self, source: str, target: str) -> Mapping[str, JSON]:
        """The command: which version of a program it starts, only its user can tell."""
        return {"engine": self.name, "command": list(self.command)}

    def versions(self) -> Mapping[str, str]:
        """None: no library is used."""
        return {}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | NoTranslation]:
        """The program's answers."""
        if self._program is None:
            self._program = Program(self.command, self._timeout)
        ids = {str(self._asked + place + 1): place for place in range(len(texts))}
        self._asked += len(texts)
        requests = b"".join(
            _line({"id": id, "text": texts[place], "source": source, "target": target}) for id, place in ids.items()
        )
        found: dict[int, str | NoTranslation] = {}
        try:
            for number, line in self._program.exchanged(requests):
                id, answer = _answer(line, f"{self._program.name}: line {number} of its output")
                if id not in ids:
                    raise EngineError(
                        f"{self._program.name}: line {number} of its output has the id {shown(id)}, which is none of"
                        f" the {len(ids)} that it was asked last; each answer bears the id of its text"
                    )
                if ids[id] in found:
                    raise EngineError(
                        f"{self._program.name}: line {number} of its output answers {shown(id)} a second time"
                    )
                found[ids[id]] = answer
                if len(found) == len(ids):
                    break
        except EngineError as error:
            self._program.close(_IMPATIENCE)
            self._program = None
            done = {place: answer for place, answer in found.items() if isinstance(answer, str)}
            missing = next(shown(id) for id, place in ids.items() if place not in found)
            raise EngineError(
                f"{error} (of the last {len(ids)} texts {len(found)} were answered; {missing} was not)", done=done
            ) from None
        return [found[place] for place in range(len(texts))]

    def close(self) -> None:
        """Let the program end, and end it where it does not."""
        if self._program is not None:
            self._program.close(_GRACE)
            self._program = None


class Program:
    """A running program, written to and read from at once, so that neither side can block the other."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self.name = f"the program {shown(shlex.join(command), 300)}"
        self._timeout = timeout
        try:
            # In a session of its own, so that Ctrl-C at the terminal reaches us first and what it answered is kept.
            self._process = subprocess.Popen(  # noqa: S603  the user's own command, and no shell
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
            )
        except FileNotFoundError:
            raise _no_program(command[0]) from None
        except OSError as error:
            raise EngineError(f"{shown(command[0])} cannot be started: {error.strerror}") from None
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        for stream in (self._in, self._out):
            os.set_blocking(stream.fileno(), False)
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._number = 0

    def exchanged(self, requests: bytes) -> Iterator[tuple[int, bytes]]:
        """Write the requests; the lines that come back, with their numbers from 1, for as long as somebody asks.

        Raises EngineError where the program ends, keeps silent, or writes a line without an end.
        """
        left = memoryview(requests)
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._in, selectors.EVENT_WRITE)
            heard = time.monotonic()
            while True:
                while self._lines:
                    self._number += 1
                    yield self._number, self._lines.popleft()
                    heard = time.monotonic()
                ready = selector.select(max(0.0, heard + self._timeout - time.monotonic()))
                if not ready or time.monotonic() - heard > self._timeout:
                    raise EngineError(
                        f"{self.name}: no answer for {self._timeout:g} seconds. A program must write out its answers"
                        " before it waits for more (flush); --timeout gives a slow one longer"
                    )
                for key, _ in ready:
                    if key.fileobj is self._out:
                        self._take()
                    else:
                        left = self._give(left)
                        if not left:
                            selector.unregister(self._in)

    def _give(self, left: memoryview) -> memoryview:
        """What is still to be written; nothing where the program does not read any more, which its end will tell."""
        try:
            return left[os.write(self._in.fileno(), left[:_BLOCK]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            return left[:0]

    def _take(self) -> None:
        """Read what there is."""
        try:
            block = os.read(self._out.fileno(), _BLOCK)
        except BlockingIOError:
            return
        if not block:
            raise EngineError(f"{self.name} {self._end()} before it had answered; its last words are above, if any")
        *lines, self._rest = (self._rest + block).split(b"\n")
        self._lines.extend(line for line in lines if line.strip())
        if len(self._rest) > LONGEST_LINE:
            raise EngineError(f"{self.name}: a line of its output is longer than {LONGEST_LINE:,} bytes")

    def _end(self) -> str:
        """How the program has ended, having closed its output."""
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "closed its output"
        return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def close(self, patience: float) -> None:
        """Close its input, and end it where it does not end in time by itself, with all that it has started."""
        with suppress(OSError):
            self._in.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(OSError):
                    os.killpg(self._process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience)
                    break
        self._out.close()


def _no_program(name: str) -> EngineError:
    return EngineError(f"there is no program {shown(name)}: check its name and PATH")


def _line(request: Mapping[str, JSON]) -> bytes:
    return json.dumps(request, ensure_ascii=False).encode() + b"\n"


def _answer(line: bytes, place: str) -> tuple[str, str | NoTranslation]:
    """Id and text of a line, or why there is none. Raises EngineError naming the line."""
    try:
        found = parse_json(line)
    except UnreadableFile as error:
        raise EngineError(f"{place} {error}: {shown(line.decode(errors='replace'))}") from None
    id = found.get("id") if isinstance(found, dict) else None
    if not isinstance(id, str):
        raise EngineError(f'{place} should be {{"id", "text"}}, the id a text: {shown(line.decode(errors="replace"))}')
    if isinstance(why := found.get("error"), str) and "text" not in found:
        return id, NoTranslation(f"the program says: {shown(why, 300)}")
    if not isinstance(text := found.get("text"), str):
        raise EngineError(f"{place} has no 'text' for the id {shown(id)}: {shown(line.decode(errors='replace'))}")
    return id, text
