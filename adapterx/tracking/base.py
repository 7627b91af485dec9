"""The interface of a tracker, and several of them as one, none of which can end a run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from adapterx.errors import AdapterxError
from adapterx.store import JSON

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two messages about losses, at least: a tracker may be far away."""
Ended = Literal["done", "interrupted", "failed"]


class TrackingError(AdapterxError):
    """A tracker that was asked for cannot be used."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told first."""

    name: str
    recipe: Mapping[str, JSON]
    directory: Path
    """Of the run, below which a tracker may keep its files."""


class Tracker(Protocol):
    """One tracker, which has been started."""

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        """Step and loss of trainings, by their labels."""

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        """What a stage came to, by names such as `accuracy/sw`."""

    def close(self, ended: Ended) -> None:
        """The run is over."""


class Trackers:
    """Passes on what a run tells. A tracker that raises is told of once, and asked no more."""

    def __init__(self, started: Mapping[str, Tracker], clock: Callable[[], float] = time.monotonic) -> None:
        self._started = dict(started)
        self._clock = clock
        self._last = -math.inf
        self._waiting: dict[str, tuple[int, float]] = {}

    def steps(self, cells: Sequence[tuple[str, int, int, float]]) -> None:
        """A step of a bundle: label, step, steps in all, loss. Only the newest of each second is passed on."""
        if not self._started:
            return
        self._waiting |= {label: (step, loss) for label, step, _, loss in cells if math.isfinite(loss)}
        if self._clock() - self._last >= EVERY:
            self._flush()

    def finished(self, label: str, values: Mapping[str, float]) -> None:
        """A stage is stored."""
        self._flush()
        self._each(lambda tracker: tracker.scores(label, values))

    def close(self, ended: Ended) -> None:
        """The run is over."""
        self._flush()
        self._each(lambda tracker: tracker.close(ended))

    def _flush(self) -> None:
        self._last = self._clock()
        waiting, self._waiting = self._waiting, {}
        if waiting:
            self._each(lambda tracker: tracker.losses(waiting))

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._started.items()):
            try:
                tell(tracker)
            # A library of others may raise anything, and no training may end by it.
            except Exception as error:
                del self._started[name]
                logger.warning("%s is told no more: %s: %s", name, type(error).__name__, error)
