"""Main memory: what there is, what is free, and what a control group of Linux leaves of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_UNLIMITED = 1 << 60
"""From here on a limit means none: version 1 of control groups writes the largest number of pages."""


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory; None where the system does not say."""

    total: int | None
    """Of the machine."""
    free: int | None
    """What this process may still take: of the machine, and of every control group it is in."""
    limit: int | None
    """The lowest limit of its control groups, None without one."""
    swap: int = 0
    """What lies in the swap space."""


def memory(root: Path = ROOT) -> Memory:
    """The memory of this machine.

    Args:
        root: below which `proc` and `sys` are.
    """
    sizes = meminfo(_read(root / "proc/meminfo"))
    groups = list(_groups(root))
    free = [size for size in (sizes.get("MemAvailable"), *(limit - used for limit, used in groups)) if size is not None]
    return Memory(
        total=sizes.get("MemTotal"),
        free=max(0, min(free)) if free else None,
        limit=min((limit for limit, _ in groups), default=None),
        swap=max(0, sizes.get("SwapTotal", 0) - sizes.get("SwapFree", 0)),
    )


def meminfo(text: str) -> dict[str, int]:
    """Bytes by name of `/proc/meminfo`; lines that are not of that form are left out."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[0].isdecimal() and words[1] == "kB":
            found[name.strip()] = int(words[0]) << 10
    return found


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of each control group with a limit that this process is in."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _limits(root / "sys/fs/cgroup", path, _V2)
        elif "memory" in controllers.split(","):
            yield from _limits(root / "sys/fs/cgroup/memory", path, _V1)


_V1 = {"limit": "memory.limit_in_bytes", "used": "memory.usage_in_bytes", "cached": "total_inactive_file"}
_V2 = {"limit": "memory.max", "used": "memory.current", "cached": "inactive_file"}


def _limits(mount: Path, path: str, names: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Limit and use of a group and of all above it; inside a container its own group is the mount itself."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        group = mount.joinpath(*parts[:depth])
        limit, used = (_number(_read(group / names[one])) for one in ("limit", "used"))
        if limit is None or used is None or limit >= _UNLIMITED:
            continue
        # Files that were read and may be forgotten count as used.
        cached = dict(line.split(" ", 1) for line in _read(group / "memory.stat").splitlines() if " " in line)
        yield limit, max(0, used - (_number(cached.get(names["cached"], "")) or 0))


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    """The content of a file of the system; empty where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
