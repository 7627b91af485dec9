"""trackio: a run in the project `adapterx`, in its own local database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapterx.tracking.base import Ended, TrackedRun


class TrackioTracker:
    """Logs to the run that was started last.

    Args:
        library: the module `trackio`.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        """`loss/<training>` with `step/<training>`."""
        told: dict[str, float] = {f"loss/{label}": loss for label, (_, loss) in cells.items()}
        self._library.log(told | {f"step/{label}": step for label, (step, _) in cells.items()})

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        """`<stage>/<score>`."""
        if values:
            self._library.log({f"{label}/{name}": value for name, value in values.items()})

    def close(self, ended: Ended) -> None:
        """Finish their run."""
        self._library.finish()


def start(run: TrackedRun) -> TrackioTracker:
    """Raises ModuleNotFoundError without the package, and what `trackio.init` raises."""
    import trackio

    trackio.init(project="adapterx", name=run.name, config=dict(run.recipe), resume="never")
    return TrackioTracker(trackio)
