"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from adapterx.executors.onlookers import Onlookers
from adapterx.plan import Stage, Training
from adapterx.stopping import Stopped
from adapterx.store import Record

if TYPE_CHECKING:
    from rich.console import Console

    from adapterx.engine.train import Progress as Steps

QUIET_SECONDS = 10.0
"""Longest silence between two plain lines while a bundle trains."""


class Shows(Protocol):
    """What hears of the bundle that is being worked on."""

    def begin(self, stages: Sequence[Stage]) -> None:
        """A bundle starts."""

    def steps(self, steps: Steps) -> None:
        """A training step of the bundle."""

    def passes(self, items: int, rows: int, what: str) -> Callable[[int, int], None]:
        """What counts the passes of the bundle's evaluation; as of `RunProgress.passes`."""
        ...

    def stored(self, record: Record) -> None:
        """The result of a stage is in the store."""

    def end(self, stages: Sequence[Stage], failed: str = "") -> None:
        """Stages of the bundle are over, or have failed for a reason."""


class RunProgress:
    """Shows how much of the planned work is done, weighted by the plan's estimate of each stage.

    Used as a context manager around the work.

    Args:
        onlookers: hear all that is shown, and more.
    """

    def __init__(
        self,
        console: Console,
        stages: Sequence[Stage],
        clock: Callable[[], float] = time.monotonic,
        onlookers: Onlookers | None = None,
    ) -> None:
        self.onlookers = onlookers or Onlookers(None, len(stages))
        self.console = console
        self.weights = {stage.id: stage.cost.seconds or 1.0 for stage in stages}
        self.total = sum(self.weights.values())
        self.clock = clock
        self.started = clock()
        self.done = 0.0
        self.bundle: tuple[Stage, ...] = ()
        self.devices: list[DeviceProgress] = []
        """What each of several devices is at."""
        self._spoken = self.started
        self._bar = _bar(console) if console.is_terminal else None
        self._task = self._bar.add_task("", total=self.total) if self._bar else None

    def __enter__(self) -> RunProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._bar:
            self._bar.stop()
        self.onlookers.over("done" if kind is None else "interrupted" if issubclass(kind, Stopped) else "failed")

    @property
    def begins(self) -> bool:
        """Whether nothing is done yet."""
        return self.done == 0

    def begin(self, stages: Sequence[Stage]) -> None:
        """A bundle starts."""
        self._expect(stages)
        self.bundle = tuple(stages)
        self.onlookers.begins(len(stages))
        verb = "training" if isinstance(stages[0].work, Training) else "evaluating"
        self._show(f"{verb} {_names(stages)}", lasting=self.begins)

    def steps(self, steps: Steps) -> None:
        """A training step of the bundle."""
        self.onlookers.steps(steps.cells)
        trainings = sum(stage.candidates for stage in self.bundle)
        share = sum(done / total for _, done, total, _ in steps.cells) / trainings
        share += 1 - len(steps.cells) / trainings  # cells that have left are done
        furthest = max(steps.cells, key=lambda cell: cell[2] - cell[1])
        losses = [loss for *_, loss in steps.cells]
        text = f"step {furthest[1]} of {furthest[2]}, loss {sum(losses) / len(losses):.3f}"
        weight = sum(self.weights[stage.id] for stage in self.bundle)
        self._show(f"training {_names(self.bundle)}: {text}", within=share * weight, brief=True)

    def passes(self, items: int, rows: int, what: str) -> Callable[[int, int], None]:
        """Count the passes of the bundle's evaluation.

        Args:
            items: how many there are to read, once for each cell; rows: how many token rows they come to.
            what: the items are.

        Returns:
            What hears after every pass of how many items and rows it read.
        """
        read_items = read_rows = 0

        def passed(more_items: int, more_rows: int) -> None:
            nonlocal read_items, read_rows
            read_items, read_rows = read_items + more_items, read_rows + more_rows
            weight = sum(self.weights[stage.id] for stage in self.bundle)
            text = f"evaluating {_names(self.bundle)}: {read_items:,} of {items:,} {what}"
            self._show(text, within=weight * read_rows / max(1, rows), brief=True)

        return passed

    def stored(self, record: Record) -> None:
        """The result of a stage is in the store."""
        self.onlookers.stored(record)

    def end(self, stages: Sequence[Stage], failed: str = "") -> None:
        """Stages of the bundle are over, or have failed for a reason."""
        self._expect(stages)
        self.done += sum(self.weights[stage.id] for stage in stages)
        self.onlookers.ends(len(stages), failed=bool(failed))
        verb = "trained" if isinstance(stages[0].work, Training) else "evaluated"
        self._show(f"{_names(stages)} {failed}" if failed else f"{verb} {_names(stages)}", lasting=True)

    def _expect(self, stages: Sequence[Stage]) -> None:
        """Add what was not planned to the work: an input that was stored, and found damaged."""
        more = {stage.id: stage.cost.seconds or 1.0 for stage in stages if stage.id not in self.weights}
        self.weights |= more
        self.total += sum(more.values())

    def _show(self, text: str, within: float = 0.0, brief: bool = False, lasting: bool = False) -> None:
        within += sum(device.within for device in self.devices)
        share = min(1.0, (self.done + within) / self.total) if self.total else 1.0
        now = self.clock()
        elapsed = now - self.started
        left = elapsed / share - elapsed if 0.02 < share < 1 else None
        self.onlookers.shown(share, left, text, lasting=lasting)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=share * self.total, total=self.total, description=text)
            return
        if (brief and now - self._spoken < QUIET_SECONDS) or not (brief or lasting):
            return
        self._spoken = now
        about = "" if left is None else f", about {duration(left)} left"
        self.console.print(f"[{share:4.0%}] {text} ({duration(elapsed)}{about})", markup=False, soft_wrap=True)


class DeviceProgress(RunProgress):
    """What one of several devices is at, shown in the progress of the whole run.

    Args:
        device: as the user named it.
    """

    def __init__(self, whole: RunProgress, device: str) -> None:
        self.whole, self.device = whole, device
        self.weights, self.bundle, self.within = whole.weights, (), 0.0
        self.onlookers = whole.onlookers
        whole.devices.append(self)

    @property
    def begins(self) -> bool:
        return self.whole.begins

    def end(self, stages: Sequence[Stage], failed: str = "") -> None:
        self.within = 0.0
        self.whole.end(stages, failed)

    def _expect(self, stages: Sequence[Stage]) -> None:
        self.whole._expect(stages)

    def _show(self, text: str, within: float = 0.0, brief: bool = False, lasting: bool = False) -> None:
        self.within = within
        self.whole._show(f"{self.device}: {text}", brief=brief, lasting=lasting)


def _names(stages: Sequence[Stage]) -> str:
    first = stages[0].label
    return first if len(stages) == 1 else f"{first} and {len(stages) - 1} more"


def duration(seconds: float) -> str:
    """12 s, 3 min 5 s, 2 h 10 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _bar(console: Console):  # type: ignore[no-untyped-def]  # noqa: ANN202 - rich is imported only when a run shows
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    # The text gives way first: bar and times keep their places on a narrow terminal.
    text = TextColumn(
        "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    columns = (BarColumn(bar_width=20), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn(), text)
    return Progress(*columns, console=console, expand=True)
