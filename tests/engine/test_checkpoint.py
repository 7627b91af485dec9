"""Checkpoint files: what is resumed from is what was written, or the cell begins anew."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from adapterx.backbones.packed import PackedEncoder
from adapterx.engine import checkpoint
from adapterx.engine.checkpoint import Checkpoints
from adapterx.engine.state import CellState
from adapterx.engine.train import train
from tests.cells import METHODS, cell
from tests.engine.trainings import assert_same
from tests.models import encoder


@pytest.fixture(scope="module")
def states() -> dict[str, CellState]:
    """Two trained cells, by key."""
    packed = PackedEncoder(encoder("xlm-roberta"))
    cells = [replace(cell(METHODS["lora"], seed=seed, steps=3), key=f"target {seed}") for seed in (1, 2)]
    return {one.key: outcome.state for one, outcome in zip(cells, train(packed, cells), strict=True)}


def write(directory: Path, states: dict[str, CellState]) -> Path:
    Checkpoints(directory, seconds=0.0).save(states)
    (path,) = directory.glob("*.safetensors")
    return path


def test_what_is_written_is_read(tmp_path: Path, states: dict[str, CellState]) -> None:
    write(tmp_path, states)
    found = Checkpoints(tmp_path, seconds=0.0).resume(list(states))
    assert found.keys() == states.keys()
    for key, state in states.items():
        assert torch.equal(found[key].adapter.values, state.adapter.values)
        assert found[key].losses == state.losses and found[key].step == 3


def test_no_flipped_bit_is_resumed_from(
    tmp_path: Path, states: dict[str, CellState], caplog: pytest.LogCaptureFixture
) -> None:
    """At random places of the file, header included: a cell is as it was, or it is not resumed, which is told."""
    path = write(tmp_path, states)
    whole, random = path.read_bytes(), np.random.default_rng(1)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*random.integers(0, header, 30), *random.integers(header, len(whole), 30)]
    for place in map(int, places):
        data = bytearray(whole)
        data[place] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        caplog.clear()
        found = Checkpoints(tmp_path, seconds=0.0).resume(list(states))
        for key, state in found.items():
            assert torch.equal(state.adapter.values, states[key].adapter.values)
            assert torch.equal(state.head.values, states[key].head.values)
            assert state.losses == states[key].losses
        assert len(found) < len(states) or place < header, "a flipped weight was not seen"
        assert len(found) == len(states) or "anew" in caplog.text
    # Padding and the order of names aside, nearly every bit counts.


def test_a_damaged_cell_costs_the_others_of_its_file_nothing(tmp_path: Path, states: dict[str, CellState]) -> None:
    path = write(tmp_path, states)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["0.adapter.values"].view(-1)[0] += 1
    save_file(tensors, path, metadata=metadata)
    assert list(Checkpoints(tmp_path, seconds=0.0).resume(list(states))) == ["target 2"]
    assert path.exists()


def test_a_file_of_an_earlier_version_goes_with_a_warning(
    tmp_path: Path, states: dict[str, CellState], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, states)
    with safe_open(path, framework="pt") as file:
        cells = file.metadata()["cells"]
    save_file(load_file(path), path, metadata={"cells": cells})
    assert Checkpoints(tmp_path, seconds=0.0).resume(list(states)) == {}
    assert len(caplog.messages) == 1 and "begin anew" in caplog.text
    assert not path.exists()


def test_a_header_that_names_nobody_is_not_asked_of_the_store(tmp_path: Path, states: dict[str, CellState]) -> None:
    path = write(tmp_path, states)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    cells = json.loads(metadata["cells"])
    save_file(load_file(path), path, metadata={**metadata, "cells": json.dumps({"../..": next(iter(cells.values()))})})

    def finished(key: str) -> bool:
        raise AssertionError(key)

    Checkpoints(tmp_path, seconds=0.0).forget(finished)
    assert not path.exists()


def test_a_training_goes_on_where_no_checkpoint_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, states: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write", full)
    packed = PackedEncoder(encoder("xlm-roberta"))
    ours = train(packed, [cell(METHODS["lora"], steps=3)], Checkpoints(tmp_path, seconds=0.0))
    assert_same(ours, train(packed, [cell(METHODS["lora"], steps=3)]))
    told = [one for one in caplog.messages if "no checkpoint can be written" in one]
    assert len(told) == 1 and "no space left" in told[0]
    assert not list(tmp_path.iterdir())
