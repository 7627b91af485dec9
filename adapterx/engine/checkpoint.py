"""Checkpoints of bundles: the states of all cells at one moment in one file, so that a resumed bundle is the same one.

A cell is known by its key, not by its bundle: whoever trains it next, in whatever company, finds its state. Nothing is
resumed from unchecked: the header has a hash, and in it every cell one of its tensors.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from adapterx.engine.state import MOMENTS, Best, CellState, Rows
from adapterx.faults import worded
from adapterx.store.atomic import write_stream
from adapterx.wording import plain

logger = logging.getLogger(__name__)

_DAMAGE = (SafetensorError, ValueError, KeyError, TypeError)
_NAMES = ("step", "examples", "tokens", "seconds", "losses", "rungs")
_COUNTERS = {**{name: name for name in _NAMES}, "dev_scores": "looks"}
"""Attributes of a state, and what they are called in files of all versions."""


class Checkpoints:
    """The checkpoint files of one directory.

    Args:
        seconds: how often a training writes one; what a killed run may lose.
    """

    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory = directory
        self.seconds = seconds
        self._told = False

    def save(self, states: Mapping[str, CellState]) -> bool:
        """Write the states of a bundle, by cell key, whole or not at all; whether they are written.

        On a full disk the training goes on, with one warning: its result is smaller, and may find room yet.
        """
        name = hashlib.sha256("\n".join(sorted(states)).encode()).hexdigest()[:16]
        try:
            write_stream(self.directory / f"{name}.safetensors", lambda path: _write(path, states))
        except OSError as error:
            if not self._told:
                logger.warning("no checkpoint can be written, a killed run begins anew: %s", worded(error))
            self._told = True
            return False
        return True

    def resume(self, keys: Collection[str]) -> dict[str, CellState]:
        """The furthest state of each of these cells that has one that is what was written; others begin anew."""
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
    cells: dict[str, dict[str, Any]] = {}
    for place, (key, state) in enumerate(states.items()):
        own: dict[str, Tensor] = {}
        for part in ("adapter", "head"):
            rows: Rows = getattr(state, part)
            own |= {f"{place}.{part}.{moment}": getattr(rows, moment) for moment in MOMENTS}
        if state.best is not None:
            own |= {f"{place}.best.adapter": state.best.adapter, f"{place}.best.head": state.best.head}
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in own.items()}
        cells[key] = {called: getattr(state, name) for name, called in _COUNTERS.items()} | {"sha256": _hash(own)}
        if state.best is not None:
            cells[key]["best"] = [state.best.step, state.best.score]
        tensors |= own
    header = json.dumps(cells)
    save_file(tensors, path, metadata={"cells": header, "sha256": hashlib.sha256(header.encode()).hexdigest()})


def _hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors with their names, types and shapes, in the order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path, keys: Collection[str]) -> dict[str, CellState]:
    """The states of these cells in a file, those that are what was written.

    A file whose header is not is removed: it says of nobody whose it is.
    """
    from safetensors import safe_open

    try:
        cells = _header(path)
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            found: dict[str, CellState] = {}
            for place, (key, counts) in enumerate(cells.items()):
                if key in keys:
                    own = {name: file.get_tensor(name) for name in names if name.startswith(f"{place}.")}
                    if _hash(own) == counts["sha256"]:
                        found[key] = _state(own.__getitem__, place, counts)
                    else:
                        logger.warning("the checkpoint %s is damaged; %s begins anew", path, plain(key, 32))
            return found
    except FileNotFoundError:
        return {}  # another process has finished its cells
    except OSError as error:
        logger.warning("the checkpoint %s cannot be read, its trainings begin anew: %s", path, worded(error))
    except _DAMAGE as error:
        logger.warning(
            "the checkpoint %s is damaged or of an earlier version, its trainings begin anew: %s", path, error
        )
        path.unlink(missing_ok=True)
    return {}


def _header(path: Path) -> dict[str, dict[str, Any]]:
    """Counters by cell key; one of `_DAMAGE` where they are not those that were written."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata: Mapping[str, str] = file.metadata() or {}
    if hashlib.sha256(metadata["cells"].encode()).hexdigest() != metadata["sha256"]:
        raise ValueError("its header has changed since it was written")
    cells: dict[str, dict[str, Any]] = json.loads(metadata["cells"])
    return cells


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
        dev_scores=[(step, score) for step, score in counts["looks"]],
        rungs=[(step, score) for step, score in counts.get("rungs", ())],
        best=best,
    )


def _cells(path: Path) -> list[str]:
    """Keys of the cells in a file; a damaged one has none, and may go."""
    try:
        return list(_header(path))
    except (OSError, *_DAMAGE):
        return []
