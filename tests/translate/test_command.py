"""The engine `command`: programs that do as they should, and all others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapterx.translate.engines.base import EngineOptions, NoTranslation
from adapterx.translate.engines.command import CommandEngine, make
from adapterx.translate.errors import EngineError
from tests.translate.engines import command

TEXTS = [f"text {number}" for number in range(1, 7)]


@pytest.fixture
def started() -> Iterator[list[CommandEngine]]:
    engines: list[CommandEngine] = []
    yield engines
    for one in engines:
        one.close()


def engine(written: str, started: list[CommandEngine], **options: float) -> CommandEngine:
    made = make(written.removeprefix("command:"), EngineOptions(**options))  # type: ignore[arg-type]
    started.append(made)
    return made


def failure(written: str, started: list[CommandEngine], **options: float) -> EngineError:
    with pytest.raises(EngineError) as raised:
        engine(written, started, **options).translate(TEXTS, "en", "de")
    return raised.value


def test_a_program_is_started_once_and_told_the_languages(tmp_path: Path, started: list[CommandEngine]) -> None:
    made = engine(command(tmp_path), started)
    assert made.translate(TEXTS[:2], "en", "de") == ["text 1 [en>de]", "text 2 [en>de]"]
    program = made._program
    assert made.translate(["Übung\n😀\u2028"], "de", "en") == ["Übung\n😀\u2028 [de>en]"]
    assert made._program is program


def test_answers_may_come_in_any_order(tmp_path: Path, started: list[CommandEngine]) -> None:
    made = engine(command(tmp_path, "reversed"), started).translate(TEXTS, "en", "de")
    assert made == [f"{text} [en>de]" for text in TEXTS]


def test_neither_side_blocks_the_other(tmp_path: Path, started: list[CommandEngine]) -> None:
    """More than the pipes hold, both ways: a program that answers while it is written to must be read."""
    texts = [f"{number} " + "x" * 50_000 for number in range(40)]
    assert engine(command(tmp_path, "large"), started, timeout=60.0).translate(texts, "en", "de") == texts


def test_a_program_may_refuse_a_text(tmp_path: Path, started: list[CommandEngine]) -> None:
    made = engine(command(tmp_path, "refuses"), started).translate(TEXTS, "en", "de")
    assert made[2] == NoTranslation("the program says: 'too rude'") and made[3] == "text 4 [en>de]"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("dies", "ended with exit code 7 before it had answered"),
        ("killed", "ended by signal 9 before it had answered"),
        ("nonsense", "line 3 of its output is not JSON"),
        ("list", "line 3 of its output should be"),
        ("half", "line 3 of its output holds half of a surrogate pair"),
        ("textless", "line 3 of its output has no 'text' for the id '3'"),
        ("twice", "line 3 of its output answers '2' a second time"),
        ("unknown", "line 3 of its output has the id '77', which is none of the 6"),
    ],
)
def test_what_goes_wrong_is_told_and_what_was_answered_is_kept(
    tmp_path: Path, started: list[CommandEngine], how: str, told: str
) -> None:
    error = failure(command(tmp_path, how), started)
    assert told in str(error) and "program.py" in str(error)
    assert "2 were answered; '3' was not" in str(error)
    assert error.done == {0: "text 1 [en>de]", 1: "text 2 [en>de]"}


def test_a_silent_program_is_ended(tmp_path: Path, started: list[CommandEngine]) -> None:
    before = time.monotonic()
    error = failure(command(tmp_path, "silent"), started, timeout=1.0)
    assert "no answer for 1 seconds" in str(error) and "--timeout" in str(error)
    assert error.done[1] == "text 2 [en>de]"
    assert time.monotonic() - before < 20


def test_programs_that_cannot_be_started(tmp_path: Path, started: list[CommandEngine]) -> None:
    assert "there is no program 'no-such-program'" in str(failure("command:no-such-program -x", started))
    plain = tmp_path / "plain.txt"
    plain.write_text("x")
    assert "cannot be started: Permission denied" in str(failure(f"command:{plain}", started))
    with pytest.raises(EngineError, match="No closing quotation"):
        make("python 'x", EngineOptions())


def test_no_shell_reads_the_command(tmp_path: Path, started: list[CommandEngine]) -> None:
    target = tmp_path / "made"
    failure(f"command:{sys.executable} -c pass ; touch {target}", started)
    assert not target.exists()


def test_closing_ends_what_does_not_end_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapterx.translate.engines.command._GRACE", 0.2)
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import json, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(json.dumps({'id': json.loads(sys.stdin.readline())['id'], 'text': 'x'}), flush=True)\n"
        "time.sleep(60)\n"
    )
    made = make(f"{sys.executable} {deaf}", EngineOptions())
    assert made.translate(["x"], "en", "de") == ["x"]
    assert made._program is not None
    number = made._program._process.pid
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
