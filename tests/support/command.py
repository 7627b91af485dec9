"""The real command line, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    """The surroundings of a command: one thread, no Hub, no colours, wide lines."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ADAPTERX_STORE")}
    return {**plain, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "NO_COLOR": "1", **more}


def adapterx(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 240):
    """Run one command to its end; returns the finished process with its output as text."""
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
