"""Checkpoints of bundles: the states of all cells at one moment in one file, so that a resumed bundle is the same one.

A cell is known by its key, not by its bundle: whoever trains it next, in whatever company, finds its state.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from adapterx.engine.state import MOMENTS, Best, CellState, Rows
from adapterx.store.atomic import write_stream

logger = logging.getLogger(__name__)

_COUNTERS = ("step", "examples", "tokens", "seconds", "losses", "looks", "rungs")


class Checkpoints:
    """The checkpoint files of one directory.

    Args:
        seconds: how often a training writes one; what a killed run may lose.
    """

    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory = directory
        self.seconds = seconds

    def save(self, states: Mapping[str, CellState]) -> None:
        """Write the states of a bundle, by cell key, whole or not at all."""
        name = hashlib.sha256("\n".join(sorted(states)).encode()).hexdigest()[:16]
        write_stream(self.directory / f"{name}.safetensors", lambda path: _write(path, states))

    def resume(self, keys: Collection[str]) -> dict[str, CellState]:
        """The furthest state of each of these cells that has one."""
        found: dict[str, CellState] = {}
        for path in self._files():
            for key, state in _read(path, keys).items():
                if key not in found or state.step > found[key].step:
                    found[key] = state
        return found

    def forget(self, finished: Callable[[str], bool]) -> None:
        """Delete the files all of whose cells are finished."""
        for path in self._files():
            if all(finished(key) for key in _cells(path)):
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob("*.safetensors")) if self.directory.is_dir() else []


def _write(path: Path, states: Mapping[str, CellState]) -> None:
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    counts: dict[str, dict[str, Any]] = {}
    for place, (key, state) in enumerate(states.items()):
        counts[key] = {name: getattr(state, name) for name in _COUNTERS}
        for part in ("adapter", "head"):
            rows: Rows = getattr(state, part)
            tensors |= {f"{place}.{part}.{moment}": getattr(rows, moment) for moment in MOMENTS}
        if state.best is not None:
            counts[key]["best"] = [state.best.step, state.best.score]
            tensors |= {f"{place}.best.adapter": state.best.adapter, f"{place}.best.head": state.best.head}
    save_file(tensors, path, metadata={"cells": json.dumps(counts)})


def _read(path: Path, keys: Collection[str]) -> dict[str, CellState]:
    """The states of these cells in a file; none if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            cells: dict[str, dict[str, Any]] = json.loads(file.metadata()["cells"])
            return {
                key: _state(file.get_tensor, place, counts)
                for place, (key, counts) in enumerate(cells.items())
                if key in keys
            }
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        logger.warning("ignoring the checkpoint %s: %s", path, error)
        return {}


def _state(tensor: Callable[[str], Tensor], place: int, counts: Mapping[str, Any]) -> CellState:
    adapter, head = (Rows(*(tensor(f"{place}.{part}.{moment}") for moment in MOMENTS)) for part in ("adapter", "head"))
    best = None
    if "best" in counts:
        step, score = counts["best"]
        best = Best(step, score, tensor(f"{place}.best.adapter"), tensor(f"{place}.best.head"))
    return CellState(
        adapter=adapter,
        head=head,
        step=counts["step"],
        examples=counts["examples"],
        tokens=counts["tokens"],
        seconds=counts["seconds"],
        losses=[(loss, rate) for loss, rate in counts["losses"]],
        looks=[(step, score) for step, score in counts["looks"]],
        rungs=[(step, score) for step, score in counts.get("rungs", ())],
        best=best,
    )


def _cells(path: Path) -> list[str]:
    """Keys of the cells in a file; an unreadable one has none, and may go."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return list(json.loads(file.metadata()["cells"]))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return []
