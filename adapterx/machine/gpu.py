"""GPUs as their driver describes them, without torch."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

COMMAND = (
    "nvidia-smi",
    "--query-gpu=name,memory.total,memory.free,compute_cap,driver_version",
    "--format=csv,noheader,nounits",
)
_PATIENCE = 20.0
"""Seconds: a driver that is just being loaded takes several."""


@dataclass(frozen=True)
class Gpu:
    """One GPU; None where the driver does not say."""

    name: str
    total: int | None
    """Bytes of its memory."""
    free: int | None
    capability: tuple[int, int] | None
    """Compute capability, major and minor."""
    driver: str

    def at_least(self, major: int, minor: int) -> bool:
        """Whether its capability is known to be this one or a later one."""
        return self.capability is not None and self.capability >= (major, minor)


def gpus(command: Sequence[str] = COMMAND) -> tuple[Gpu, ...]:
    """The GPUs that the driver lists; none where there is no driver, or where it does not answer."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=_PATIENCE, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ()
    return parsed(done.stdout)


def parsed(text: str) -> tuple[Gpu, ...]:
    """GPUs in the words of `nvidia-smi`; lines of another form are left out."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 5 or not parts[0]:
            continue
        name, total, free, capability, driver = parts
        found.append(Gpu(name, _mebibytes(total), _mebibytes(free), _capability(capability), driver))
    return tuple(found)


def _mebibytes(text: str) -> int | None:
    return int(text) << 20 if text.isdecimal() else None


def _capability(text: str) -> tuple[int, int] | None:
    major, dot, minor = text.partition(".")
    return (int(major), int(minor)) if dot and major.isdecimal() and minor.isdecimal() else None
