"""The trackers there are. Each is a module, imported only when it is chosen, and brought by an extra of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from adapterx.tracking.base import TrackedRun, Tracker, Trackers, TrackingError

NAMES = ("tensorboard", "trackio", "wandb", "mlflow")


def start(names: Sequence[str], run: TrackedRun) -> Trackers:
    """Start trackers by their names. Raises TrackingError for one that is not installed or cannot be started."""
    started: dict[str, Tracker] = {}
    for name in dict.fromkeys(names):
        module = import_module(f"adapterx.tracking.{name}_tracker")
        try:
            started[name] = module.start(run)
        except ModuleNotFoundError as error:
            raise TrackingError(
                f"--track {name}: the package {error.name} is not installed; pip install 'adapterx[{name}]'"
            ) from error
        # What others' libraries raise where there is no login, no server or no disk, before anything is trained.
        except Exception as error:
            raise TrackingError(f"--track {name}: {type(error).__name__}: {error}") from error
    return Trackers(started)


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings by dotted names, as trackers of plain parameters take them."""
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        elif value is not None:
            found[name] = str(value)
    return found
