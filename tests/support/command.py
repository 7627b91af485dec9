"""The real command line: in this process where nothing forbids it, else in one of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

from adapterx.cli import main

ROOT = Path(__file__).parents[2]
Done = subprocess.CompletedProcess[str]


def environment(**more: str) -> dict[str, str]:
    """The surroundings of a command: one thread, no Hub, no colours, wide lines."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ADAPTERX_STORE")}
    return {**plain, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "NO_COLOR": "1", **more}


def adapterx(
    *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 240
) -> Done:
    """Run one command to its end; returns its exit code and its output as text.

    It runs in this process, which has imported what it needs already, unless `env` changes more than the variables
    that adapterx reads itself at every command: libraries read theirs once.
    """
    usual = environment()
    env = usual if env is None else env
    changed = {name for name in usual.keys() | env.keys() if usual.get(name) != env.get(name)}
    if all(name.startswith("ADAPTERX_") for name in changed):
        return _here([str(one) for one in arguments], cwd, env)
    return process(*arguments, cwd=cwd, env=env, timeout=timeout)


def process(
    *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 240
) -> Done:
    """Run one command to its end in a process of its own, as a user does."""
    command = [sys.executable, "-m", "adapterx", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=env or environment(), capture_output=True, text=True, timeout=timeout, check=False
    )


def start(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.Popen[str]:
    """Start a command and leave it running."""
    command = [sys.executable, "-m", "adapterx", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _here(arguments: list[str], cwd: Path, env: Mapping[str, str]) -> Done:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        patch.dict(os.environ, env, clear=True),
        _warnings(err),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse's
            code = int(ended.code or 0)
    told = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return subprocess.CompletedProcess(arguments, code, *told)


@contextlib.contextmanager
def _warnings(stream: io.TextIOWrapper) -> Iterator[None]:
    """Write warnings to a stream, as Python does where nobody has asked for them; pytest has."""
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
