"""MLflow: a run in the experiment `adapterx` of whatever server or directory its environment names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapterx.tracking.base import Ended, TrackedRun
from adapterx.tracking.registry import flat

STATUS = {"done": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
LONGEST_VALUE = 500
"""Characters of a parameter that every version takes."""
MOST_PARAMETERS = 100
"""In one call."""


class MlflowTracker:
    """Logs to the active run.

    Args:
        library: the module `mlflow`.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        """`loss/<training>` at its own step; one call for all that are at the same one."""
        by_step: dict[int, dict[str, float]] = {}
        for label, (step, loss) in cells.items():
            by_step.setdefault(step, {})[_name(f"loss/{label}")] = loss
        for step, values in by_step.items():
            self._library.log_metrics(values, step=step)

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        """`<stage>/<score>`."""
        if values:
            self._library.log_metrics({_name(f"{label}/{name}"): value for name, value in values.items()})

    def close(self, ended: Ended) -> None:
        """End their run."""
        self._library.end_run(status=STATUS[ended])


def _name(text: str) -> str:
    """What MLflow takes as a name: letters, digits, and _ - . / and spaces."""
    return re.sub(r"[^\w\-./ ]", "_", text, flags=re.ASCII)


def start(run: TrackedRun) -> MlflowTracker:
    """Raises ModuleNotFoundError without the package, and what starting a run raises."""
    import mlflow

    mlflow.set_experiment("adapterx")
    mlflow.start_run(run_name=run.name)
    settings = [(_name(name), value[:LONGEST_VALUE]) for name, value in flat(run.recipe).items()]
    for start in range(0, len(settings), MOST_PARAMETERS):
        mlflow.log_params(dict(settings[start : start + MOST_PARAMETERS]))
    return MlflowTracker(mlflow)
