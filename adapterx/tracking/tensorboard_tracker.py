"""TensorBoard: event files in the run's directory, one folder for each stage (`tensorboard --logdir` shows them)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx.tracking.base import Ended, TrackedRun

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class TensorboardTracker:
    """Writes event files below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, SummaryWriter] = {}

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        """A scalar `loss` for each training."""
        for label, (step, loss) in cells.items():
            self._writer(label).add_scalar("loss", loss, step)

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        """A scalar for each score; the stage's file is closed, as each has a thread."""
        writer = self._writer(label)
        for name, value in values.items():
            writer.add_scalar(name, value, 0)
        writer.close()
        del self._open[label]

    def close(self, ended: Ended) -> None:
        """Close all files."""
        for writer in self._open.values():
            writer.close()
        self._open.clear()

    def _writer(self, label: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if label not in self._open:
            self._open[label] = SummaryWriter(str(self._directory / label))
        return self._open[label]


def start(run: TrackedRun) -> TensorboardTracker:
    """Raises ModuleNotFoundError without the package."""
    import tensorboard  # noqa: F401 - torch says less clearly what is missing
    import torch.utils.tensorboard  # noqa: F401

    return TensorboardTracker(run.directory / FOLDER)
