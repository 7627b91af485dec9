"""progress.json: how far a run is, written again and again while it works, so that other terminals can look on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from adapterx.reading import MEGABYTE, UnreadableFile, read_json
from adapterx.store import JSON, write_json
from adapterx.store.atomic import machine, runs

NAME = "progress.json"
LARGEST = 16 * MEGABYTE
SILENT = 120.0
"""Seconds without a word from another machine, after which a run there is taken for dead."""
State = Literal["running", "done", "interrupted", "failed"]
Seen = Literal["running", "done", "interrupted", "failed", "dead", "silent"]


@dataclass(frozen=True)
class CellProgress:
    """One training of the bundle that is at work."""

    label: str
    step: int
    steps: int
    loss: float | None
    """Of the last step; None where it is not finite."""


@dataclass(frozen=True)
class RunProgressFile:
    """What is known at one moment."""

    state: State
    process: int
    machine: str
    """Names the machine, or the container, that process numbers are unique in."""
    started: float
    """Seconds since 1970."""
    updated: float
    share: float
    """Of the work that was left at the start, as the plan weighs it."""
    left: float | None
    """Seconds; None where it is too early to say."""
    what: str
    stages: int
    """That were to be done."""
    done: int
    failed: int
    steps_per_second: float | None = None
    """Of each training of the bundle, since it began."""
    cells: tuple[CellProgress, ...] = ()

    def seen(self, now: float) -> Seen:
        """The state as others see it: whoever says that he runs may have been killed since."""
        if self.state != "running":
            return self.state
        if self.machine == machine():
            return "running" if runs(self.process) else "dead"
        return "silent" if now - self.updated > SILENT else "running"


def write(directory: Path, found: RunProgressFile) -> None:
    """Put a run's progress.json in the place of the one before. Raises OSError."""
    write_json(directory / NAME, cast(dict[str, JSON], _plain(asdict(found))))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def read(directory: Path) -> RunProgressFile | None:
    """A run's progress; None where it has none. Raises ValueError, naming the file, for one that no run wrote."""
    path = directory / NAME
    try:
        told = read_json(path, LARGEST)
        cells = tuple(CellProgress(**cell) for cell in told.pop("cells"))
        found = RunProgressFile(**told, cells=cells)
        if found.state not in get_args(State):
            raise ValueError(f"the state is {found.state!r}")
        for number in (found.process, found.started, found.updated, found.share, found.stages, found.done):
            float(number)
    except FileNotFoundError:
        return None
    except (UnreadableFile, TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not what a run writes ({error}); it is written anew by the next run") from error
    return found


def now() -> float:
    """Seconds since 1970."""
    return time.time()
