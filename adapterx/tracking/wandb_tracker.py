"""Weights & Biases: one run of theirs for one of ours, in the project that WANDB_PROJECT names, else `adapterx`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from adapterx.tracking.base import Ended, TrackedRun


class WandbTracker:
    """Logs to one run.

    Args:
        run: a `wandb.Run`.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    def losses(self, cells: Mapping[str, tuple[int, float]]) -> None:
        """`loss/<training>` with `step/<training>`, as trainings of one bundle need not be at one step."""
        told: dict[str, float] = {f"loss/{label}": loss for label, (_, loss) in cells.items()}
        self._run.log(told | {f"step/{label}": step for label, (step, _) in cells.items()})

    def scores(self, label: str, values: Mapping[str, float]) -> None:
        """Into the summary, which tables of runs show."""
        self._run.summary.update({f"{label}/{name}": value for name, value in values.items()})

    def close(self, ended: Ended) -> None:
        """Finish their run, as failed where ours did not come to its end."""
        self._run.finish(exit_code=0 if ended == "done" else 1)


def start(run: TrackedRun) -> WandbTracker:
    """Raises ModuleNotFoundError without the package, and what `wandb.init` raises."""
    import wandb

    project = os.environ.get("WANDB_PROJECT", "adapterx")
    return WandbTracker(
        wandb.init(project=project, name=run.name, config=dict(run.recipe), dir=str(run.directory), reinit="create_new")
    )
