"""Who looks on while a run works: its status file, which other terminals read, and trackers that were asked for."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adapterx.results import evaluation, progress_file, training
from adapterx.results.progress_file import CellProgress, RunProgressFile, State
from adapterx.store import Record
from adapterx.store.atomic import machine
from adapterx.tracking import Trackers

logger = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two writings of the status file, at least."""
Steps = Sequence[tuple[str, int, int, float]]
"""Of each training its label, steps taken, steps in all, and loss."""


class Onlookers:
    """Tells a status file and trackers. What cannot be told ends no run.

    Args:
        directory: of the run; None for no status file.
        stages: how many are to be done.
    """

    def __init__(
        self,
        directory: Path | None,
        stages: int,
        trackers: Trackers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory, self._stages, self._trackers, self._clock = directory, stages, trackers or Trackers({}), clock
        self._started = progress_file.now()
        self._written = -math.inf
        self._cells: tuple[CellProgress, ...] = ()
        self._since: tuple[float, int] | None = None
        """When the first step of the bundle was heard of, and which it was."""
        self._rate: float | None = None
        self._done = self._failed = 0
        self._share, self._what = 0.0, "starting"
        self._left: float | None = None
        self._write("running")

    def begins(self, stages: int) -> None:
        """A bundle of some stages begins; there may be more to be done than was planned."""
        self._stages = max(self._stages, self._done + self._failed + stages)
        self._cells, self._since, self._rate = (), None, None

    def steps(self, cells: Steps) -> None:
        """A training step of the bundle."""
        self._trackers.steps(cells)
        furthest, now = max((step for _, step, *_ in cells), default=0), self._clock()
        if self._since is None:
            self._since = (now, furthest)
        elif now > self._since[0]:
            self._rate = (furthest - self._since[1]) / (now - self._since[0])
        self._cells = tuple(
            CellProgress(label, step, steps, round(loss, 6) if math.isfinite(loss) else None)
            for label, step, steps, loss in cells
        )

    def shown(self, share: float, left: float | None, what: str, *, lasting: bool) -> None:
        """What is shown of the run now; what lasts is written at once."""
        self._share, self._left, self._what = share, left, what
        if lasting or self._clock() - self._written >= EVERY:
            self._write("running")

    def ends(self, stages: int, *, failed: bool) -> None:
        """Stages of the bundle are over."""
        self._done += 0 if failed else stages
        self._failed += stages if failed else 0
        self._cells = ()

    def stored(self, record: Record) -> None:
        """A stage is stored."""
        self._trackers.finished(record.label, _values(record))

    def over(self, state: State) -> None:
        """The run is over."""
        if state != "running":
            self._trackers.close(state)
        if state == "done":
            self._share, self._left = 1.0, 0.0
        self._write(state)

    def _write(self, state: State) -> None:
        self._written = self._clock()
        if self._directory is None:
            return
        try:
            progress_file.write(
                self._directory,
                RunProgressFile(
                    state,
                    os.getpid(),
                    machine(),
                    self._started,
                    progress_file.now(),
                    round(self._share, 6),
                    None if self._left is None else round(self._left, 1),
                    self._what,
                    self._stages,
                    self._done,
                    self._failed,
                    None if self._rate is None else round(self._rate, 4),
                    self._cells,
                ),
            )
        except OSError as error:
            logger.warning("nobody else can look on: %s", error)
            self._directory = None


def _values(record: Record) -> Mapping[str, float]:
    """Numbers of a stage's result: scores by metric and language, or the end of a training."""
    if record.kind == "evaluation":
        languages = evaluation.read(record).languages
        return {
            f"{metric}/{code}": float(value)
            for code, values in languages.items()
            for metric, value in values.items()
            if metric != "n"
        }
    found = {name: training.number(record.result.get(name)) for name in ("final_loss", "best_dev")}
    return {name: value for name, value in found.items() if value is not None}
